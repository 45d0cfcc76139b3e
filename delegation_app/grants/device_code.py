"""The device code grant: polling, and a single redemption (RFC 8628 sections 3.4 and 3.5)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from delegation_app import clock
from delegation_app.grants.base import TokenRequest
from delegation_app.models import Delegation, DeviceCode
from delegation_app.models.validity import in_force
from delegation_app.protocol import names
from delegation_app.protocol.errors import (
    AccessDenied,
    AuthorizationPending,
    ExpiredToken,
    InvalidGrant,
    OAuthError,
    SlowDown,
)
from delegation_app.protocol.secrets import digest
from delegation_app.services.tokens import issuing, reissue
from delegation_app.services.tokens.issuing import Issued, TokenParameters
from delegation_app.services.transactions import durable

TYPE = names.DEVICE_CODE
PARAMETERS = frozenset({"device_code", "resource", "scope"})

# RFC 8628 section 3.5, in seconds
_SLOWER: Final = 5


def handle(request: TokenRequest) -> Issued:
    """Poll, and redeem the code once the user has allowed the request.

    A second redemption revokes nothing. A device that lost the response polls again: after its
    interval, and while its tokens are unused, it gets new ones in place of them.

    Raises:
        AuthorizationPending: the user has not answered.
        SlowDown: the user has not answered, and the device polls too fast; the interval has grown.
        AccessDenied: the user denied the request.
        ExpiredToken: the code was not redeemed in time.
        InvalidGrant: unknown, another client's or used, or the delegation has ended.
        InvalidScope, InvalidTarget: see `TokenRequest.part_of`.
        OutcomeUnknown: the database was lost during the commit; the device may poll again.

    Side effects: locks the code, then the root; the time of the poll, or up to three rows and one
        audit event.
    """
    text = request.parameters.require("device_code")
    with reissue.noted(text):
        return _poll(text, request)


@durable
def _poll(text: str, request: TokenRequest) -> Issued | OAuthError:
    now = clock.now()
    code = DeviceCode.objects.filter(digest=digest(text)).select_for_update().first()
    if code is None:
        return _refusal("unknown")
    # RFC 6749 section 5.2: issued to another client
    if code.client_id != request.client.application.pk:
        return _refusal("another client's")
    if code.denied_at is not None:
        return AccessDenied("The user denied the request.")
    # A redeemed code counts as used even after its expiry
    if code.expires_at <= now and code.consumed_at is None:
        return ExpiredToken("The device code has expired.")
    return _pending(code, now) if code.approved_at is None else _redeem(code, request)


def _pending(code: DeviceCode, now: datetime) -> OAuthError:
    since = None if code.last_polled_at is None else now - code.last_polled_at
    hurried = since is not None and since < timedelta(seconds=code.interval)
    # RFC 8628 section 3.5: by 5 seconds, for this and all later polls
    code.interval += _SLOWER if hurried else 0
    code.last_polled_at = now
    code.save(update_fields=["interval", "last_polled_at"])
    # A pending answer is no refusal: a device gets hundreds of them, without an audit event
    if hurried:
        return SlowDown("Poll less often.", recorded=True)
    return AuthorizationPending("Not answered yet.", recorded=True)


def _redeem(code: DeviceCode, request: TokenRequest) -> Issued | OAuthError:
    now = clock.now()
    # A root locks its own tree. It is read again after the wait: a revoked one is not found
    rows = Delegation.objects.live(now).filter(device_codes=code.pk)
    delegation = rows.select_for_update(of=("self",)).first()
    if delegation is None:
        # Only a code without an approval has no delegation, and such a code is never redeemed
        gone = code.delegation
        return _refusal("unknown" if gone is None else gone.why_not_in_force(now), gone)
    if code.consumed_at is not None and not _is_retry(code, delegation, now):
        return _refusal("used before", delegation)
    granted = TokenParameters(delegation, request.client, delegation.scopes, delegation.audience)
    part = request.part_of(granted)
    if code.consumed_at is not None:
        return reissue.reissue(part, granted, request.origin)
    # Joined columns may be older than the lock; this statement reads them again
    usable = DeviceCode.objects.filter(in_force(now, "delegation__"), pk=code.pk, consumed_at=None)
    if not usable.update(consumed_at=now):
        return _refusal("its delegation has ended", delegation)
    return issuing.issue_first(part, granted, request.origin)


def _is_retry(code: DeviceCode, delegation: Delegation, now: datetime) -> bool:
    # Whether the device has not received the response to its last poll
    jti = reissue.token_of(code.digest)
    if jti is not None and reissue.is_unused(delegation, jti):
        return True
    # RFC 8628 section 3.5: a device without a response waits for at least its interval before it
    # polls again. An earlier request ran beside the poll that was answered.
    waited = code.consumed_at is not None and now >= code.consumed_at + timedelta(
        seconds=code.interval
    )
    return waited and now < code.expires_at and reissue.is_unused(delegation)


def _refusal(detail: str, delegation: Delegation | None = None) -> InvalidGrant:
    return InvalidGrant("The device code is not valid.", detail=detail, about=delegation)
