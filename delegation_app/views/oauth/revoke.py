"""The revocation endpoint (RFC 7009)."""

from __future__ import annotations

from django.http import HttpResponse

from delegation_app import http
from delegation_app.services.tokens import revocation
from delegation_app.views.client_endpoint import ClientRequest, client_endpoint


@client_endpoint
def revoke(call: ClientRequest) -> HttpResponse:
    """Revoke a token of the client that asks. `token_type_hint` is not needed to find it."""
    client = call.authenticated_client()
    token = call.parameters.require("token")
    try:
        revocation.presented_token(token, client, call.origin)
    except revocation.NothingToRevoke as error:
        # RFC 7009 section 2.2: 200 for invalid tokens. The same for those of other clients, or
        # whoever finds a token could try here whether it is real.
        call.record_refusal(error)
    response = HttpResponse()
    http.never_stored(response)
    return response
