"""Every endpoint at its default mount: `path("", include("delegation_app.urls"))`."""

from __future__ import annotations

from importlib.util import find_spec

from django.urls import URLPattern, path

from delegation_app import urls_well_known
from delegation_app.views.api import operator, operator_bulk, person
from delegation_app.views.connections import pages
from delegation_app.views.connections.end import end, end_all
from delegation_app.views.connections.narrow import narrow
from delegation_app.views.oauth.authorize import authorize
from delegation_app.views.oauth.device_authorization import device_authorization
from delegation_app.views.oauth.device_page import device_page
from delegation_app.views.oauth.introspect import introspect
from delegation_app.views.oauth.jwks import jwks
from delegation_app.views.oauth.logo import logo
from delegation_app.views.oauth.revoke import revoke
from delegation_app.views.oauth.status_list import status_list, status_lists
from delegation_app.views.oauth.token import exchange, token

app_name = "delegation_app"

schemas: list[URLPattern] = []
# The extra [openapi]
if find_spec("drf_spectacular") is not None:
    from delegation_app.views.api.openapi import ConnectionsSchema, DelegationsSchema

    schemas = [
        path("connections/api/schema", ConnectionsSchema.as_view(), name="api-connections-schema"),
        path("delegations/api/schema", DelegationsSchema.as_view(), name="api-delegations-schema"),
    ]

urlpatterns = [
    *schemas,
    path("oauth/authorize", authorize, name="authorize"),
    path("oauth/token", token, name="token"),
    path("oauth/exchange", exchange, name="exchange"),
    path("oauth/device_authorization", device_authorization, name="device_authorization"),
    path("oauth/device", device_page, name="device"),
    path("oauth/revoke", revoke, name="revoke"),
    path("oauth/introspect", introspect, name="introspect"),
    path("oauth/jwks", jwks, name="jwks"),
    path("oauth/logo/<str:name>", logo, name="logo"),
    path("oauth/status", status_lists, name="status-lists"),
    path("oauth/status/<str:name>", status_list, name="status-list"),
    path("connections/", pages.listed, name="connections"),
    path("connections/end", end_all, name="connections-end"),
    # Before the pages: their keys are never `api`
    path("connections/api/", person.ConnectionListView.as_view(), name="api-connections"),
    path("connections/api/end", person.EndConnectionsView.as_view(), name="api-connections-end"),
    path("connections/api/<str:key>", person.ConnectionView.as_view(), name="api-connection"),
    path(
        "connections/api/<str:key>/end",
        person.EndConnectionView.as_view(),
        name="api-connection-end",
    ),
    path(
        "connections/api/<str:key>/narrow",
        person.NarrowConnectionView.as_view(),
        name="api-connection-narrow",
    ),
    path("connections/<str:key>", pages.one, name="connection"),
    path("connections/<str:key>/end", end, name="connection-end"),
    path("connections/<str:key>/narrow", narrow, name="connection-narrow"),
    path("delegations/api/", operator.DelegationListView.as_view(), name="api-delegations"),
    path(
        "delegations/api/revoke",
        operator_bulk.RevokeDelegationsView.as_view(),
        name="api-delegations-revoke",
    ),
    path("delegations/api/<str:key>", operator.DelegationView.as_view(), name="api-delegation"),
    path(
        "delegations/api/<str:key>/revoke",
        operator.RevokeDelegationView.as_view(),
        name="api-revoke",
    ),
    path(
        "delegations/api/<str:key>/narrow",
        operator.NarrowDelegationView.as_view(),
        name="api-narrow",
    ),
    *urls_well_known.urlpatterns,
]
