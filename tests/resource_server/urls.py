from django.urls import include, path

urlpatterns = [path("", include("delegation_app.resource_server.urls"))]
