"""Every endpoint at its default mount: `path("", include("delegation_app.urls"))`."""

from __future__ import annotations

from importlib.util import find_spec

from django.urls import URLPattern, path

from delegation_app import urls_well_known
from delegation_app.views import oauth
from delegation_app.views.api import operator, operator_bulk, person
from delegation_app.views.connections import pages
from delegation_app.views.connections.end import end, end_all
from delegation_app.views.connections.narrow import narrow

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
    path("oauth/authorize", oauth.AuthorizeView.as_view(), name="authorize"),
    path("oauth/token", oauth.TokenView.as_view(), name="token"),
    path("oauth/exchange", oauth.ExchangeView.as_view(), name="exchange"),
    path(
        "oauth/device_authorization",
        oauth.DeviceAuthorizationView.as_view(),
        name="device_authorization",
    ),
    path("oauth/device", oauth.DeviceView.as_view(), name="device"),
    path("oauth/revoke", oauth.RevocationView.as_view(), name="revoke"),
    path("oauth/introspect", oauth.IntrospectionView.as_view(), name="introspect"),
    path("oauth/jwks", oauth.JwksView.as_view(), name="jwks"),
    path("oauth/logo/<str:name>", oauth.LogoView.as_view(), name="logo"),
    path("oauth/status", oauth.StatusListsView.as_view(), name="status-lists"),
    path("oauth/status/<str:name>", oauth.StatusListView.as_view(), name="status-list"),
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
