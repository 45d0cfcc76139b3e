"""Token revocation: an access token, or a refresh token with its delegation (RFC 7009)."""

from __future__ import annotations

from delegation_app import clock
from delegation_app.events import TOKEN_REVOKED
from delegation_app.models import AccessToken, AuthorizationCode
from delegation_app.protocol.errors import InvalidToken, UnsupportedTokenType
from delegation_app.protocol.secrets import digest
from delegation_app.services import audit, transactions
from delegation_app.services.clients.registered_client import RegisteredClient
from delegation_app.services.delegations import revocation
from delegation_app.services.status_lists import cache
from delegation_app.services.tokens import lookup
from delegation_app.services.transactions import durable, part


class NothingToRevoke(InvalidToken):
    """The presented text is no token of this client. Only the audit trail says why."""


@part
def access_token(token: AccessToken, origin: audit.RequestContext, *, reason: str) -> bool:
    """Revoke one access token (RFC 7009 section 2.1); return whether this call did it.

    Side effects: one row, one audit event.
    """
    # An exchange that judged this token under the lock of its tree comes first, or sees the result
    transactions.lock_root(token.delegation)
    live = AccessToken.objects.filter(pk=token.pk, revoked_at=None)
    if not live.update(revoked_at=clock.now()):
        return False
    audit.record(TOKEN_REVOKED, origin, delegation=token.delegation, jti=token.jti, reason=reason)
    cache.changed()
    return True


def presented_token(text: str, client: RegisteredClient, origin: audit.RequestContext) -> None:
    """Revoke a presented token (RFC 7009 section 2.1).

    A refresh token ends its delegation, an access token only itself. A revoked or expired token is
    not an error (section 2.2).

    Args:
        text: the token as presented, of any kind.
        client: the presenting client.
        origin: the client as actor, and the origin of the request.

    Raises:
        NothingToRevoke: it is no token of this client and stays unchanged.
        UnsupportedTokenType: it is an authorization code of this client.

    Side effects: those of `subtree` or `access_token`.
    """
    found = lookup.given_back(text, client)
    if found is not None and found.row.delegation.delegate_id == client.application.pk:
        _give_back(found, origin)
        return
    # An unknown token and another client's take the same statements, so that time reveals neither
    own_codes = AuthorizationCode.objects.filter(delegation__delegate=client.application.pk)
    is_code = own_codes.filter(digest=digest(text)).exists()
    # RFC 7009 section 2.2.1; not for public clients, which any caller can impersonate to learn that
    # a code is valid
    if is_code and client.is_confidential:
        raise UnsupportedTokenType("An authorization code cannot be revoked.")
    message, detail, about = "There is nothing to revoke.", "unknown or malformed token", None
    if found is not None:
        detail, about = "the token was issued to another client", found.row.delegation
    raise NothingToRevoke(message, detail=detail, about=about)


@durable
def _give_back(found: lookup.Presented, context: audit.RequestContext) -> None:
    if isinstance(found, lookup.PresentedRefreshToken):
        revocation.subtree(
            found.row.delegation, context, reason="refresh token revoked by the client"
        )
    else:
        access_token(found.row, context, reason="access token revoked by the client")
