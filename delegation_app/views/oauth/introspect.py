"""The introspection endpoint (RFC 7662)."""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response

from delegation_app.services.clients.lookup import INTROSPECTS
from delegation_app.services.tokens import introspection
from delegation_app.views import oauth_serializers
from delegation_app.views.client_endpoint import ClientEndpoint


class IntrospectionView(ClientEndpoint):
    """Return what the caller may know about a token. `token_type_hint` is ignored."""

    operations = {"POST": oauth_serializers.INTROSPECT}
    relation = INTROSPECTS

    def post(self, request: Request) -> Response:
        token = self.parameters.require("token")
        return Response(introspection.introspect(token, self.client))
