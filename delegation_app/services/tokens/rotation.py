"""Rotating refresh tokens (RFC 6749 section 6, RFC 9700 section 4.14)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from delegation_app import clock
from delegation_app.conf import conf
from delegation_app.events import TOKEN_REFRESH_RETRIED, TOKEN_REFRESHED
from delegation_app.models import AuditEvent, Delegation, RefreshToken
from delegation_app.models.validity import in_force
from delegation_app.protocol import secrets
from delegation_app.protocol.errors import InvalidGrant, OAuthError
from delegation_app.services import audit
from delegation_app.services.clients.lookup import RegisteredClient
from delegation_app.services.delegations import reuse, revocation
from delegation_app.services.delegations.revocation import REFRESH_TOKEN_REUSED
from delegation_app.services.tokens import reissue
from delegation_app.services.tokens.issuing import (
    Issued,
    IssueOptions,
    NewRefreshToken,
    TokenGrant,
    issue,
    renewal,
)
from delegation_app.services.transactions import durable


@dataclass(frozen=True, slots=True)
class RefreshRequest:
    """What a client sends to refresh.

    Attributes:
        text: the refresh token.
        scope: the value of `scope`, or None for all that was granted.
        resources: the values of `resource`; none for all that was granted.
    """

    text: str = field(repr=False)
    scope: str | None
    resources: tuple[str, ...]


def rotate(
    presentation: RefreshRequest, client: RegisteredClient, origin: audit.RequestContext
) -> Issued:
    """Exchange a refresh token for its successor and an access token.

    A retry of the token that was rotated last gets the same successor as long as that is unused:
    within the client's retry window, or where the answer was lost here. Any other use of a rotated
    token revokes the delegation.

    Raises:
        InvalidGrant: unknown, another client's, expired, used before, or its delegation ended.
        InvalidScope: more than was granted, or nothing of it is left.
        InvalidTarget: not granted, or not available any more.
        OutcomeUnknown: the database was lost during the commit; the client may repeat the request.

    Side effects: locks the root; three rows and one audit event, or a revocation and its event.
    """
    with reissue.noted(presentation.text):
        return _rotate(presentation, client, origin)


@durable
def _rotate(
    presentation: RefreshRequest, client: RegisteredClient, origin: audit.RequestContext
) -> Issued | OAuthError:
    presented = _find(presentation.text)
    if presented is None:
        return _refusal("unknown")
    # RFC 6749 section 5.2: issued to another client looks like unknown
    if presented.delegation.delegate_id != client.application.pk:
        return _refusal("another client's", presented.delegation)
    whole = TokenGrant(presented.delegation, client, presented.scope, presented.audience)
    # Before anything that is asked for is looked at: a reuse is one, whatever it asks for. A first
    # use that asks for too much is undone with the error.
    if not _consume(presented, clock.now()):
        return _used_before(presented, presentation, whole, origin)
    wanted = _narrowed(whole, presentation, origin)
    successor = secrets.successor(_keys()[0], presentation.text)
    fresh = renewal(whole, successor, predecessor=presented)
    manner = IssueOptions(event=TOKEN_REFRESHED, details=_named(presented))
    return issue(wanted, origin, manner, renewal=fresh)


def _find(text: str) -> RefreshToken | None:
    rows = RefreshToken.objects.filter(digest=secrets.digest(text))
    # The root first. A row is read again after a wait only if it is locked itself, and somebody may
    # just have narrowed this delegation.
    of = ("delegation__root", "delegation")
    return rows.select_related("delegation__root").select_for_update(of=of).first()


def _narrowed(
    whole: TokenGrant, presentation: RefreshRequest, origin: audit.RequestContext
) -> TokenGrant:
    client, delegation = whole.client, reuse.settle_unasked(whole.delegation, origin)
    # The delegation may have been narrowed since the token was issued
    reach = whole.audience & delegation.audience
    audience = client.narrowed_audience(presentation.resources, reach)
    granted = client.narrowed_scope(presentation.scope, whole.scope, audience)
    # RFC 6749 section 3.3: an app that repeats what it was granted goes on with what is left of it
    scope = client.effective_scope(granted & delegation.scopes, audience)
    return TokenGrant(delegation, client, scope, audience)


def _consume(presented: RefreshToken, now: datetime) -> bool:
    # One conditional UPDATE decides. It looks again after the lock was got, so it sees a revocation
    # that came first.
    usable = RefreshToken.objects.filter(in_force(now, "delegation__"), expires_at__gt=now)
    unused = usable.filter(pk=presented.pk, consumed_at=None)
    return bool(unused.update(consumed_at=now))


def _used_before(
    presented: RefreshToken,
    presentation: RefreshRequest,
    whole: TokenGrant,
    origin: audit.RequestContext,
) -> Issued | OAuthError:
    now, delegation = clock.now(), presented.delegation
    presented.refresh_from_db(fields=["consumed_at"])
    if presented.consumed_at is None and presented.expires_at <= now:
        return _refusal("expired", delegation)
    # What is disabled may be enabled again; only what has ended cannot be protected any more
    if presented.consumed_at is None or delegation.has_ended(now):
        return _refusal(delegation.why_not_in_force(now), delegation)
    successor = retried(presented, presentation.text, whole.client)
    if successor is None:
        return end_reused(delegation, origin)
    if not Delegation.objects.live(now).filter(pk=delegation.pk).exists():
        return _refusal(delegation.why_not_in_force(now), delegation)
    return _again(presented, _narrowed(whole, presentation, origin), successor, origin)


def retried(presented: RefreshToken, text: str, client: RegisteredClient) -> NewRefreshToken | None:
    """Return the successor that a client may be given once more; None if this is a reuse.

    Reads only: one statement, none after the retry window.

    Args:
        presented: a refresh token of the client that was used before.
        text: the token as presented.
        client: who presents it.
    """
    since = None if presented.consumed_at is None else clock.now() - presented.consumed_at
    is_timely = since is not None and since < client.refresh_retry_window
    if is_timely or reissue.token_of(presented.digest) is not None:
        return _unused_successor(presented, text)
    return None


def end_reused(delegation: Delegation, origin: audit.RequestContext) -> InvalidGrant:
    """Revoke the delegation of a refresh token that was used twice, and return the refusal."""
    # RFC 9700 section 4.14.2: somebody else may hold the successor, so the grant ends
    ended = revocation.subtree(
        delegation,
        origin.acting_as("system"),
        reason=REFRESH_TOKEN_REUSED,
        # A service has no page on which the user could allow it again
        leaves_block=delegation.parent_id is None,
    )
    error = _refusal("reused", delegation)
    error.recorded = bool(ended)
    return error


def _unused_successor(presented: RefreshToken, text: str) -> NewRefreshToken | None:
    row = RefreshToken.objects.filter(predecessor=presented, consumed_at=None).first()
    # The site's secret may have changed between the two requests.
    for key in _keys():
        candidate = secrets.successor(key, text)
        if row is not None and secrets.digest(candidate) == row.digest:
            return NewRefreshToken(row, candidate)
    return None


def _again(
    presented: RefreshToken,
    wanted: TokenGrant,
    successor: NewRefreshToken,
    origin: audit.RequestContext,
) -> Issued:
    delegation = wanted.delegation
    # Where tokens are counted, a refresh and its retries are one
    if delegation.max_uses is not None:
        events = AuditEvent.objects.filter(
            event__in=(TOKEN_REFRESHED.name, TOKEN_REFRESH_RETRIED.name),
            delegation=delegation,
            occurred_at__gte=presented.consumed_at,
            details__refresh_token=presented.digest[:8],
        )
        reissue.replace(delegation, clock.now(), jtis=list(events.values_list("jti", flat=True)))
    # A retry is also what a thief would send, so its event says where it came from
    agent = audit.printable(secrets.masked(origin.user_agent), 255)
    details = {**_named(presented), "address": origin.ip, "user_agent": agent}
    manner = IssueOptions(event=TOKEN_REFRESH_RETRIED, details=details, is_counted=False)
    return issue(wanted, origin, manner, renewal=successor)


def _named(presented: RefreshToken) -> dict[str, str]:
    # So much of a digest tells which of the few tokens of a delegation it was
    return {"refresh_token": presented.digest[:8]}


def _refusal(detail: str, delegation: Delegation | None = None) -> InvalidGrant:
    error = InvalidGrant("The refresh token is not valid.", detail=detail)
    error.about = delegation
    return error


def _keys() -> list[bytes]:
    return [secrets.derive_key(secret, "refresh-successor") for secret in conf.secrets]
