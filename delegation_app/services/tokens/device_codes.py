"""Polling with a device code, and redeeming it once (RFC 8628 sections 3.4 and 3.5)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from delegation_app import clock
from delegation_app.models import Delegation, DeviceCode
from delegation_app.models.validity import in_force
from delegation_app.protocol.errors import (
    AccessDenied,
    AuthorizationPending,
    ExpiredToken,
    InvalidGrant,
    OAuthError,
    SlowDown,
)
from delegation_app.protocol.secrets import digest
from delegation_app.services import audit
from delegation_app.services.clients.lookup import RegisteredClient
from delegation_app.services.tokens import issuing, reissue
from delegation_app.services.transactions import durable

# RFC 8628 section 3.5
_SLOWER: Final = 5


@dataclass(frozen=True, slots=True)
class Poll:
    """What a device sends until it has tokens.

    Attributes:
        device_code: what it was given.
        resources: the values of `resource`; none for all that was granted.
        scope: the value of `scope`, or None for all that was granted.
    """

    device_code: str = field(repr=False)
    resources: tuple[str, ...]
    scope: str | None


def poll(wanted: Poll, client: RegisteredClient, origin: audit.RequestContext) -> issuing.Issued:
    """Redeem a device code for tokens, or say why not (RFC 8628 section 3.5).

    A second redemption ends nothing. A device that lost the answer polls on: once its interval is
    over, and as long as its tokens are unused, it gets others in place of them.

    Args:
        wanted: the device code, and which part of what was granted.
        client: who polls.
        origin: the client, and from where it polls.

    Raises:
        AuthorizationPending: the person has not answered.
        SlowDown: the same, and it polls faster than it may; the interval has grown.
        AccessDenied: the person said no.
        ExpiredToken: nobody redeemed it in time.
        InvalidGrant: unknown, another client's, used, or its delegation has ended.
        InvalidScope: nothing that was granted is left, or nothing of it is wanted.
        InvalidTarget: a resource was not granted or is not available any more.
        OutcomeUnknown: the database was lost during the commit; the device polls on.

    Side effects: locks the code, then the root; the time of the poll, or up to three rows and one
    audit event.
    """
    with reissue.noted(wanted.device_code):
        return _poll(wanted, client, origin)


@durable
def _poll(
    wanted: Poll, client: RegisteredClient, origin: audit.RequestContext
) -> issuing.Issued | OAuthError:
    now = clock.now()
    code = DeviceCode.objects.filter(digest=digest(wanted.device_code)).select_for_update().first()
    if code is None:
        return _refusal("unknown")
    # RFC 6749 section 5.2: issued to another client
    if code.client_id != client.application.pk:
        return _refusal("another client's")
    return _unredeemable(code, now) or _redeem(code, wanted, client, origin)


def _unredeemable(code: DeviceCode, now: datetime) -> OAuthError | None:
    if code.denied_at is not None:
        return AccessDenied("The person denied the request.")
    # One that was redeemed is used before it is expired
    if code.expires_at <= now and code.consumed_at is None:
        return ExpiredToken("The device code has expired.")
    return None if code.approved_at is not None else _pending(code, now)


def _pending(code: DeviceCode, now: datetime) -> OAuthError:
    since = None if code.last_polled_at is None else now - code.last_polled_at
    hurried = since is not None and since < timedelta(seconds=code.interval)
    # RFC 8628 section 3.5: by 5 seconds, for this and all later polls
    code.interval += _SLOWER if hurried else 0
    code.last_polled_at = now
    code.save(update_fields=["interval", "last_polled_at"])
    error = SlowDown("Poll less often.") if hurried else AuthorizationPending("Not answered yet.")
    # “Not yet” is no refusal: a device is told so hundreds of times, and the audit trail not once
    error.recorded = True
    return error


def _redeem(
    code: DeviceCode, wanted: Poll, client: RegisteredClient, origin: audit.RequestContext
) -> issuing.Issued | OAuthError:
    now = clock.now()
    # It is a root, so it locks its tree. It is read again after a wait: a revoked one is not found
    rows = Delegation.objects.live(now).filter(device_codes=code.pk)
    delegation = rows.select_for_update(of=("self",)).first()
    if delegation is None:
        return _refusal(_why_gone(code, now), code.delegation)
    if code.consumed_at is not None:
        if not _is_retry(code, delegation, now):
            return _refusal("used before", delegation)
        return reissue.reissue(*_views(delegation, wanted, client), origin)
    views = _views(delegation, wanted, client)
    # What was joined to the locked row may be older than the lock; this statement is not
    usable = DeviceCode.objects.filter(in_force(now, "delegation__"), pk=code.pk, consumed_at=None)
    if not usable.update(consumed_at=now):
        return _refusal("its delegation has ended", delegation)
    return issuing.issue_first(*views, origin)


def _why_gone(code: DeviceCode, now: datetime) -> str:
    # The model has none for a code that nobody approved, and such a one is not redeemed
    return "unknown" if code.delegation is None else code.delegation.why_not_in_force(now)


def _views(
    delegation: Delegation, wanted: Poll, client: RegisteredClient
) -> tuple[issuing.TokenGrant, issuing.TokenGrant]:
    audience = client.narrowed_audience(wanted.resources, delegation.audience)
    # RFC 6749 section 3.3: what is left may be less, and the answer says so
    scope = client.wanted_scope(wanted.scope, delegation.scopes, audience)
    whole = issuing.TokenGrant(delegation, client, delegation.scopes, delegation.audience)
    return issuing.TokenGrant(delegation, client, scope, audience), whole


def _is_retry(code: DeviceCode, delegation: Delegation, now: datetime) -> bool:
    """Whether a device has not got the answer to its last poll."""
    jti = reissue.token_of(code.digest)
    if jti is not None and reissue.is_unused(delegation, jti):
        return True
    # RFC 8628 section 3.5: a device that got none waits for its interval, and longer, before it
    # polls again. What comes sooner came beside the poll that was answered.
    waited = code.consumed_at is not None and now >= code.consumed_at + timedelta(
        seconds=code.interval
    )
    return waited and now < code.expires_at and reissue.is_unused(delegation)


def _refusal(detail: str, delegation: Delegation | None = None) -> InvalidGrant:
    error = InvalidGrant("The device code is not valid.", detail=detail)
    error.about = delegation
    return error
