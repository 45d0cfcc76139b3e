"""The URLs of a service in a process of its own."""

from django.urls import include, path

from delegation_app.resource_server.authentication import BearerAuthentication
from delegation_app.resource_server.conf import conf
from example_project.api import urls as api
from example_project.api.services import BY_KEY

_service = BY_KEY[conf.client_id]

urlpatterns = [
    path(_service.path, include(api.of(_service, BearerAuthentication))),
    path("", include("delegation_app.resource_server.urls")),
]
