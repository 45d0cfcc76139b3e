"""What clients give back: one access token, or a refresh token with its delegation (RFC 7009)."""

from __future__ import annotations

from delegation_app import clock
from delegation_app.events import TOKEN_REVOKED
from delegation_app.models import AccessToken, AuthorizationCode
from delegation_app.protocol.errors import InvalidToken, UnsupportedTokenType
from delegation_app.protocol.secrets import digest
from delegation_app.services import audit, transactions
from delegation_app.services.clients.lookup import RegisteredClient
from delegation_app.services.delegations import revocation
from delegation_app.services.status_lists import cache
from delegation_app.services.tokens import lookup
from delegation_app.services.transactions import durable, part


class NothingToRevoke(InvalidToken):
    """What was presented is no token of the client that presents it. Only the trail says why."""


@part
def access_token(token: AccessToken, origin: audit.RequestContext, *, reason: str) -> bool:
    """Revoke one access token (RFC 7009 section 2.1); return whether this call did it.

    Side effects: one row, one audit event.
    """
    # An exchange that judged this token under the lock of its tree comes first, or sees this
    transactions.lock_root(token.delegation)
    live = AccessToken.objects.filter(pk=token.pk, revoked_at=None)
    if not live.update(revoked_at=clock.now()):
        return False
    audit.record(TOKEN_REVOKED, origin, delegation=token.delegation, jti=token.jti, reason=reason)
    cache.changed()
    return True


def presented_token(text: str, client: RegisteredClient, origin: audit.RequestContext) -> None:
    """Revoke what a client gives back (RFC 7009 section 2.1).

    A refresh token takes its delegation with it, an access token only itself. One that was revoked
    or has expired is no error (section 2.2).

    Args:
        text: the token as presented, of any kind.
        client: who presents it.
        origin: the client as actor, and from where.

    Raises:
        NothingToRevoke: it is no token of this client; it stays as it is.
        UnsupportedTokenType: it is an authorization code of this client.

    Side effects: those of `subtree` or `access_token`.
    """
    found = lookup.given_back(text, client)
    if found is not None and found.row.delegation.delegate_id == client.application.pk:
        _give_back(found, origin)
        return
    # The same statements for an unknown token and for another client's: time must not tell either
    own_codes = AuthorizationCode.objects.filter(delegation__delegate=client.application.pk)
    is_code = own_codes.filter(digest=digest(text)).exists()
    # RFC 7009 section 2.2.1; but any caller can claim to be a public client, and would learn that a
    # code is good
    if is_code and client.is_confidential:
        raise UnsupportedTokenType("An authorization code cannot be revoked.")
    message, detail, about = "There is nothing to revoke.", "unknown or malformed token", None
    if found is not None:
        detail, about = "the token was issued to another client", found.row.delegation
    raise NothingToRevoke(message, detail=detail, about=about)


@durable
def _give_back(found: lookup.Presented, origin: audit.RequestContext) -> None:
    if isinstance(found, lookup.PresentedRefreshToken):
        revocation.subtree(
            found.row.delegation, origin, reason="refresh token revoked by the client"
        )
    else:
        access_token(found.row, origin, reason="access token revoked by the client")
