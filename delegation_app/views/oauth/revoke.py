"""The revocation endpoint (RFC 7009)."""

from __future__ import annotations

from django.http import HttpResponse
from rest_framework.request import Request

from delegation_app.services.tokens import revocation
from delegation_app.views import oauth_serializers
from delegation_app.views.client_endpoint import ClientEndpoint


class RevocationView(ClientEndpoint):
    """Revoke a token of the requesting client. `token_type_hint` is ignored."""

    operations = {"POST": oauth_serializers.REVOKE}

    def post(self, request: Request) -> HttpResponse:
        token = self.parameters.require("token")
        try:
            revocation.presented_token(token, self.client, self.context)
        except revocation.NothingToRevoke as error:
            # RFC 7009 section 2.2: 200 for invalid tokens. The same for tokens of other clients, so
            # that no client can test here whether a found token is valid.
            self.record_refusal(error)
        return HttpResponse()
