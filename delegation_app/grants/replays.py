"""Replays in requests that are refused before the redemption.

A thief could otherwise probe a used code or refresh token without a trace, with a header or a
parameter that has the request refused. Unused secrets stay unused here.
"""

from __future__ import annotations

from collections.abc import Collection
from http import HTTPStatus
from typing import Final

from delegation_app.grants.authorization_code import CODE
from delegation_app.grants.refresh_token import TOKEN
from delegation_app.protocol.errors import OAuthError
from delegation_app.protocol.requests.parameters import Parameters
from delegation_app.services import audit
from delegation_app.services.clients.registered_client import RegisteredClient

# RFC 8693 section 2.1: an exchange also presents refresh tokens
_EXCHANGED: Final = frozenset({"subject_token", "actor_token"})

PARAMETERS: Final = _EXCHANGED | {CODE.parameter, TOKEN.parameter}


def end_replayed(
    parameters: Parameters,
    presenting: Collection[str],
    client: RegisteredClient,
    origin: audit.RequestContext,
    refusal: OAuthError,
) -> OAuthError:
    """Revoke the delegations of used codes and refresh tokens that a refused request presents.

    Every value of a repeated parameter is judged. A refresh token within its retry window and a
    code without its verifier revoke nothing, as in their own grants.

    Args:
        parameters: all parameters of the request.
        presenting: the names among `PARAMETERS` to judge.
        client: the authenticated client.
        origin: the client as actor, and the origin of the request.
        refusal: the reason why the request was refused.

    Returns:
        The error to respond with: that of the replay, which precedes all others, or `refusal`.

    Side effects: those of `revocation.subtree`, committed. One statement for codes and one for
    refresh tokens if any text can be one, none otherwise.
    """
    # The database is unavailable, or the request may have been carried out
    if refusal.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return refusal
    for kind in (CODE, TOKEN):
        for delegation in kind.replayed(parameters, {kind.parameter} & set(presenting), client):
            refusal = kind.end_reused(delegation, origin)
    for delegation in TOKEN.replayed(parameters, _EXCHANGED & set(presenting), client):
        TOKEN.end_reused(delegation, origin)
        # RFC 8693 section 2.2.2: the error code is that of the exchange
        refusal.about = refusal.about or delegation
    return refusal
