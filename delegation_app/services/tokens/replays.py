"""Replays in requests that are refused before what they present is redeemed.

A thief could otherwise try a used code or refresh token without a trace, with a header or a
parameter that has the request refused. What is unused stays unused here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from http import HTTPStatus
from typing import Final

from delegation_app import clock
from delegation_app.models import AuthorizationCode, Delegation, RefreshToken
from delegation_app.protocol import secrets
from delegation_app.protocol.errors import OAuthError
from delegation_app.protocol.requests.parameters import Parameters
from delegation_app.services import audit
from delegation_app.services.clients.lookup import RegisteredClient
from delegation_app.services.tokens import authorization_codes, rotation

_REDEEMED: Final = frozenset({"code"})
_REFRESHED: Final = frozenset({"refresh_token"})
# RFC 8693 section 2.1: a refresh token is presented in an exchange as well
_EXCHANGED: Final = frozenset({"subject_token", "actor_token"})

PARAMETERS: Final = _REDEEMED | _REFRESHED | _EXCHANGED


def end_replayed(
    parameters: Parameters,
    presenting: Collection[str],
    client: RegisteredClient,
    origin: audit.RequestContext,
    refusal: OAuthError,
) -> OAuthError:
    """Revoke the delegations of used codes and refresh tokens that a refused request presents.

    Where a parameter was sent more than once, each of its values is judged. A refresh token within
    its retry window and a code without its verifier end nothing, as in their own grants.

    Args:
        parameters: all of the request.
        presenting: which of `PARAMETERS` to look at.
        client: who presents them, authenticated.
        origin: the client as actor, and from where.
        refusal: why the request was refused.

    Returns:
        What to answer: the refusal of the replay, which comes before all others, or `refusal`.

    Side effects: those of `revocation.subtree`, committed. One statement for codes and one for
    refresh tokens where there is a text that can be one, none otherwise.
    """
    # The database is away, or what was asked for may have been done
    if refusal.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return refusal
    for delegation in _replayed_codes(parameters, presenting, client):
        refusal = authorization_codes.end_replayed(delegation, origin)
    for delegation in _reused_tokens(parameters, _REFRESHED & set(presenting), client):
        refusal = rotation.end_reused(delegation, origin)
    for delegation in _reused_tokens(parameters, _EXCHANGED & set(presenting), client):
        rotation.end_reused(delegation, origin)
        # RFC 8693 section 2.2.2: the code is that of the exchange
        refusal.about = refusal.about or delegation
    return refusal


def _replayed_codes(
    parameters: Parameters, presenting: Collection[str], client: RegisteredClient
) -> Iterator[Delegation]:
    texts = _texts(parameters, _REDEEMED & set(presenting))
    if not texts:
        return
    verifiers, uris = parameters.all("code_verifier"), parameters.all("redirect_uri")
    rows = AuthorizationCode.objects.filter(digest__in=texts, consumed_at__isnull=False)
    for row in rows.select_related("delegation"):
        is_own = not authorization_codes.mismatch_of(row, client, verifiers, uris)
        has_ended = row.delegation.has_ended(clock.now())
        if is_own and not has_ended and not authorization_codes.is_retry(row):
            yield row.delegation


def _reused_tokens(
    parameters: Parameters, presenting: Collection[str], client: RegisteredClient
) -> Iterator[Delegation]:
    texts = _texts(parameters, presenting)
    if not texts:
        return
    rows = RefreshToken.objects.filter(digest__in=texts, consumed_at__isnull=False)
    own = rows.filter(delegation__delegate=client.application.pk)
    for row in own.select_related("delegation"):
        has_ended = row.delegation.has_ended(clock.now())
        if not has_ended and rotation.retried(row, texts[row.digest], client) is None:
            yield row.delegation


def _texts(parameters: Parameters, presenting: Collection[str]) -> dict[str, str]:
    sent = (text for name in presenting for text in parameters.all(name))
    return {secrets.digest(text): text for text in sent if len(text) == secrets.SECRET_LENGTH}
