"""The introspection endpoint (RFC 7662)."""

from __future__ import annotations

from django.http import HttpResponse

from delegation_app import http
from delegation_app.services.clients.lookup import INTROSPECTS
from delegation_app.services.tokens import introspection
from delegation_app.views.client_endpoint import ClientRequest, client_endpoint


@client_endpoint
def introspect(call: ClientRequest) -> HttpResponse:
    """Say what the caller may know about a token. `token_type_hint` is not needed to find it."""
    caller = call.authenticated_client(INTROSPECTS)
    token = call.parameters.require("token")
    return http.json_answer(introspection.introspect(token, caller))
