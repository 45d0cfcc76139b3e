"""Device verification: finding the device of a user code (RFC 8628 section 3.3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from delegation_app.conf import conf
from delegation_app.models import DeviceCode
from delegation_app.protocol import names
from delegation_app.protocol.errors import InvalidRequest
from delegation_app.protocol.user_code import normalised
from delegation_app.services import audit
from delegation_app.services.clients import lookup, throttle
from delegation_app.services.clients.registered_client import RegisteredClient
from delegation_app.services.consent.decision import too_late, unanswered_devices
from delegation_app.services.consent.request import ConsentRequest
from delegation_app.services.delegations.terms import SignIn
from delegation_app.services.device.start import digests_of


def find(typed: str, sign_in: SignIn, context: audit.RequestContext) -> ConsentRequest | None:
    """Return the request of the device that shows a user code; None if there is none.

    Args:
        typed: the code as typed; see `user_code.normalised`.
        sign_in: the user.
        context: the user and the origin of the request.

    Raises:
        TooManyAttempts: too many wrong codes by this user or from this address.
        InvalidScope, InvalidTarget: the client may no longer have any of it.

    Side effects: a wrong code is counted in the cache (RFC 8628 section 5.1).
    """
    most = conf.device_attempts_per_minute
    budgets = [
        throttle.Budget(f"person {sign_in.subject}", most),
        *throttle.of_addresses(context.ip, context.via, most),
    ]
    with throttle.attempt(*budgets, refusal="Too many wrong codes. Wait a minute.") as attempt:
        code = normalised(typed)
        rows = unanswered_devices()
        row = None if code is None else rows.filter(user_code_digest__in=digests_of(code)).first()
        client = None if row is None else _client_of(row)
        attempt.failed = client is None
    return None if row is None or client is None else _request(row, client, sign_in)


def restore(shown: Mapping[str, Any], sign_in: SignIn) -> ConsentRequest:
    """Return the request of the answered screen, as it stands now.

    Args:
        shown: the result of `ConsentRequest.to_json`.
        sign_in: the user.

    Raises:
        InvalidRequest: it was answered, has expired, or differs from the screen.
        InvalidScope, InvalidTarget: the client may no longer have any of it.
    """
    row = unanswered_devices().filter(pk=shown["device"]).first()
    client = None if row is None else _client_of(row)
    if row is None or client is None:
        raise too_late()
    request = _request(row, client, sign_in)
    if request.to_json() != shown:
        raise InvalidRequest("What the device may have was changed just now. Start again.")
    return request


def _client_of(row: DeviceCode) -> RegisteredClient | None:
    client = lookup.find(row.client_id_value)
    # The client may have been disabled or replaced since the device's request
    if client is None or client.application.pk != row.client_id or not client.policy.enabled:
        return None
    return client if client.may_use(names.DEVICE_CODE) else None


def _request(row: DeviceCode, client: RegisteredClient, sign_in: SignIn) -> ConsentRequest:
    # As in a redemption: only what the client may still have
    audience = client.narrowed_audience((), row.audience)
    return ConsentRequest(
        client=client,
        sign_in=sign_in,
        scope=client.narrowed_scope(None, row.scope, audience),
        audience=audience,
        constraints=row.constraints,
        grant_type=names.DEVICE_CODE,
        device=row,
    )
