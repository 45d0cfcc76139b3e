"""The token endpoint (RFC 6749 section 3.2), and its alias for exchanges alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from django.http import HttpResponse

from delegation_app import http
from delegation_app.grants import REGISTRY, Grant, TokenRequest, replays
from delegation_app.protocol import names
from delegation_app.protocol.errors import OAuthError, UnauthorizedClient, UnsupportedGrantType
from delegation_app.services import signing_keys
from delegation_app.services.clients.lookup import RegisteredClient
from delegation_app.views.client_endpoint import ClientRequest, client_endpoint

# What each of these grants judges itself: a replay is one, whatever the grant then answers
_JUDGED_BY_GRANT: Final = {
    names.AUTHORIZATION_CODE: "code",
    names.REFRESH_TOKEN: "refresh_token",
}


@client_endpoint
def token(call: ClientRequest) -> HttpResponse:
    """Authenticate the client, let its grant issue, and answer after the commit."""
    return _answer(call, REGISTRY)


@client_endpoint
def exchange(call: ClientRequest) -> HttpResponse:
    """The same for RFC 8693 and nothing else, so that gateways can treat it apart."""
    return _answer(call, {names.TOKEN_EXCHANGE: REGISTRY[names.TOKEN_EXCHANGE]})


def _answer(call: ClientRequest, grants: Mapping[str, Grant]) -> HttpResponse:
    # Only its client can replay what it was given, so that is authenticated before anything else
    # is refused. What presents nothing is refused without a statement.
    presents = any(name in call.parameters for name in replays.PARAMETERS)
    client = call.authenticate() if presents else call.authenticated_client()
    unjudged = replays.PARAMETERS
    try:
        grant = _grant_of(call, client, grants)
        signer = signing_keys.signer(client.signing_kid)
        unjudged -= {_JUDGED_BY_GRANT.get(grant.TYPE, "")}
        declared = call.parameters.only(grant.PARAMETERS)
        issued = grant.handle(TokenRequest(client, declared, call.origin))
    except OAuthError as error:
        # RFC 9700 section 4.14.2: nothing else that is wrong with a request hides a replay
        raise replays.end_replayed(
            call.parameters, unjudged, client, call.origin, error
        ) from error.__cause__
    return http.json_answer(issued.answer(signer))


def _grant_of(call: ClientRequest, client: RegisteredClient, grants: Mapping[str, Grant]) -> Grant:
    if call.refusal is not None:
        raise call.refusal
    grant_type = call.parameters.require("grant_type")
    grant = grants.get(grant_type)
    if grant is None:
        raise UnsupportedGrantType("The grant_type is not supported.")
    if not client.may_use(grant_type):
        raise UnauthorizedClient("This client may not use this grant_type.")
    # RFC 9396 section 5 and others: ignoring one would issue something else than was asked for
    call.parameters.refuse_unsupported(grant.PARAMETERS)
    return grant
