"""The token endpoint (RFC 6749 section 3.2), and its alias for exchanges alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from django.http import HttpResponse

from delegation_app import http
from delegation_app.grants import REGISTRY, Grant, TokenRequest
from delegation_app.protocol import names
from delegation_app.protocol.errors import UnauthorizedClient, UnsupportedGrantType
from delegation_app.services import signing_keys
from delegation_app.views.client_endpoint import Call, back_channel

# What these redeem may have been stolen. A replay is one, whatever else the request asks for.
_JUDGES_REPLAYS: Final = frozenset({names.AUTHORIZATION_CODE, names.REFRESH_TOKEN})


@back_channel
def token(call: Call) -> HttpResponse:
    """Authenticate the client, let its grant issue, and answer after the commit."""
    return _answer(call, REGISTRY)


@back_channel
def exchange(call: Call) -> HttpResponse:
    """The same for RFC 8693 and nothing else, so that gateways can treat it apart."""
    return _answer(call, {names.TOKEN_EXCHANGE: REGISTRY[names.TOKEN_EXCHANGE]})


def _answer(call: Call, grants: Mapping[str, Grant]) -> HttpResponse:
    client = call.authenticated_client()
    grant_type = call.parameters.require("grant_type")
    grant = grants.get(grant_type)
    if grant is None:
        raise UnsupportedGrantType("The grant_type is not supported.")
    if not client.may_use(grant_type):
        raise UnauthorizedClient("This client may not use this grant_type.")
    # RFC 9396 section 5 and others: ignoring one would issue something else than was asked for
    refusal = call.parameters.unsupported(grant.PARAMETERS)
    if refusal is not None and grant_type not in _JUDGES_REPLAYS:
        raise refusal
    signer = signing_keys.signer(client.signing_kid)
    declared = call.parameters.only(grant.PARAMETERS)
    issued = grant.handle(TokenRequest(client, declared, call.origin, refusal))
    return http.json_answer(issued.answer(signer))
