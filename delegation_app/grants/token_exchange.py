"""The token exchange grant (RFC 8693)."""

from __future__ import annotations

from typing import Final

from delegation_app.grants.base import TokenRequest
from delegation_app.protocol import names
from delegation_app.protocol.errors import InvalidRequest, UnauthorizedClient
from delegation_app.protocol.requests.parameters import Parameters
from delegation_app.services.delegations import enforcement
from delegation_app.services.tokens import exchange
from delegation_app.services.tokens.exchange_parties import TypedToken
from delegation_app.services.tokens.issuing import Issued

TYPE = names.TOKEN_EXCHANGE
PARAMETERS = frozenset(
    {
        "subject_token", "subject_token_type", "actor_token", "actor_token_type",
        "requested_token_type", "audience", "resource", "scope", "constraints",
    }
)  # fmt: skip

_ISSUED: Final = frozenset({names.ACCESS_TOKEN, names.JWT})
_SUBJECTS: Final = _ISSUED | {names.REFRESH_TOKEN_TYPE}


def handle(request: TokenRequest) -> Issued:
    """Exchange a token."""
    client, parameters = request.client, request.parameters
    # RFC 8693 section 5: whoever finds a token must not be able to exchange it
    if not client.is_confidential:
        raise UnauthorizedClient("Public clients may not exchange tokens.")
    wanted = exchange.ExchangeRequest(
        subject=_subject(parameters),
        actor=_actor(parameters),
        requested_type=_requested_type(parameters),
        audiences=parameters.all("audience"),
        resources=parameters.all("resource"),
        scope=parameters.get("scope"),
        constraints=enforcement.requested_constraints(client, parameters.get("constraints")),
    )
    return exchange.exchange(wanted, client, request.origin)


def _subject(parameters: Parameters) -> TypedToken:
    text = parameters.require("subject_token")
    return TypedToken(text, _type(parameters.require("subject_token_type"), _SUBJECTS))


def _actor(parameters: Parameters) -> TypedToken | None:
    text, declared = parameters.get("actor_token"), parameters.get("actor_token_type")
    # RFC 8693 section 2.1: the type is required with the token, and refused without it
    if (text is None) != (declared is None):
        raise InvalidRequest("The parameters actor_token and actor_token_type go together.")
    if text is None or declared is None:
        return None
    return TypedToken(text, _type(declared, _ISSUED))


def _requested_type(parameters: Parameters) -> str:
    return _type(parameters.get("requested_token_type") or names.ACCESS_TOKEN, _ISSUED)


def _type(declared: str, supported: frozenset[str]) -> str:
    # RFC 8693 section 2.2.2
    if declared not in supported:
        raise InvalidRequest("The token type is not supported.")
    return declared
