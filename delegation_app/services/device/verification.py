"""Devices in front of a person: finding one by its code, and answering (RFC 8628 section 3.3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import QuerySet

from delegation_app import clock
from delegation_app.conf import conf
from delegation_app.models import ConsentRecord, DeviceCode
from delegation_app.protocol import names
from delegation_app.protocol.errors import InvalidRequest
from delegation_app.protocol.scope import Scope
from delegation_app.protocol.user_code import normalised
from delegation_app.services import audit
from delegation_app.services.clients import lookup, throttle
from delegation_app.services.clients.lookup import RegisteredClient
from delegation_app.services.consent import decision, screen
from delegation_app.services.consent.decision import ConsentDecision, Decision
from delegation_app.services.consent.fragments import sanitize
from delegation_app.services.consent.request import ON_A_DEVICE, ConsentRequest
from delegation_app.services.delegations.terms import SignIn
from delegation_app.services.device.start import digests_of
from delegation_app.services.transactions import durable

_REFUSED = ConsentRecord.Confirmation.REFUSED


@dataclass(frozen=True, slots=True)
class PendingDevice:
    """A device that waits for an answer, and what a person is asked about it."""

    key: int
    asked: ConsentRequest

    def as_json(self) -> dict[str, Any]:
        """Return JSON members, for a session: which device, and what was shown of it."""
        return {
            "key": self.key,
            "scope": list(self.asked.scope),
            "audience": list(self.asked.audience),
        }


@dataclass(frozen=True, slots=True)
class DeviceDecision:
    """A device about which a user has answered: the app, and the record; None for a denial."""

    app: str
    consent: ConsentRecord | None


def find(typed: str, sign_in: SignIn, origin: audit.RequestContext) -> PendingDevice | None:
    """Return the device that shows the code that a person typed; None if there is none.

    Args:
        typed: as typed; see `user_code.normalised`.
        sign_in: the person.
        origin: the person, and from where.

    Raises:
        TooManyAttempts: too many wrong codes by this person or from this address.
        InvalidScope, InvalidTarget: the client may have nothing of it any more.

    Side effects: a wrong code is counted in the cache (RFC 8628 section 5.1).
    """
    most = conf.device_attempts_per_minute
    budgets = [
        throttle.Budget(f"person {sign_in.subject}", most),
        *throttle.of_addresses(origin.ip, origin.via, most),
    ]
    with throttle.attempt(*budgets, refusal="Too many wrong codes. Wait a minute.") as attempt:
        code = normalised(typed)
        row = None if code is None else _showing(code)
        client = None if row is None else _client_of(row)
        attempt.failed = client is None
    return None if row is None or client is None else _waiting(row, client, sign_in)


def again(shown: Mapping[str, Any], sign_in: SignIn) -> PendingDevice:
    """Return the device whose page is answered now; much may have changed since it was shown.

    Args:
        shown: what `Waiting.as_json` said then.
        sign_in: the person.

    Raises:
        InvalidRequest: it was answered, has expired, or the page would say something else now.
        InvalidScope, InvalidTarget: the client may have nothing of it any more.
    """
    row = _unanswered().filter(pk=shown["key"]).first()
    client = None if row is None else _client_of(row)
    if row is None or client is None:
        raise _too_late()
    waiting = _waiting(row, client, sign_in)
    if waiting.as_json() != {name: shown[name] for name in waiting.as_json()}:
        raise InvalidRequest("What the device may have was changed just now. Start again.")
    return waiting


def answered(shown: Mapping[str, Any], sign_in: SignIn) -> DeviceDecision | None:
    """Return what this user answered about a device, or None. Reads only.

    Args:
        shown: what `Waiting.as_json` said then.
        sign_in: the user.
    """
    rows = ConsentRecord.objects.filter(device_codes=shown["key"], user=sign_in.user.pk)
    record = rows.first()
    if record is None:
        return None
    is_denied = record.decision == Decision.DENIED or record.confirmation == _REFUSED
    return DeviceDecision(sanitize(record.client_name), None if is_denied else record)


@durable
def allow(
    waiting: PendingDevice,
    ticked: Scope,
    origin: audit.RequestContext,
    *,
    lifetime: timedelta | None,
    shown: Callable[[ConsentRequest], screen.ScreenText | None] = screen.compose,
) -> ConsentRecord | None:
    """Record what the person allowed, and open the delegation that the device will find.

    Args:
        waiting: what was shown.
        ticked: the scopes that the person left ticked.
        origin: the person, and from where.
        lifetime: for how long the person allows it; None for no end.
        shown: returns the page as it was shown; None if it would say something else now.

    Returns:
        The record; while it waits for an operator, nothing is opened and the device polls on.
        None for a denial: nothing was left ticked.

    Raises:
        InvalidScope: something was ticked that was not shown; nothing is recorded.
        AskAgain: the answer is not complete, or the page has changed; nothing is recorded.
        InvalidRequest: it was answered before, or has expired; nothing is recorded.

    Side effects: three rows, two audit events; if it waits or is denied, two rows and one.
    """
    asked = waiting.asked
    text, answer = decision.held_text(asked, shown), decision.evaluate(asked, ticked, lifetime)
    if answer is None:
        _deny(waiting, origin, text)
        return None
    consent = decision.record(asked, Decision.GRANTED, answer, origin, text)
    if answer.pending:
        _answer(waiting, consent=consent)
        return consent
    delegation = decision.open_on(asked, consent, answer.granted, origin, just_allowed=True)
    _answer(waiting, approved_at=clock.now(), consent=consent, delegation=delegation)
    return consent


@durable
def deny(
    waiting: PendingDevice, origin: audit.RequestContext, *, text: screen.ScreenText | None = None
) -> None:
    """Record that the person said no.

    Args:
        waiting: what was shown.
        origin: the person, and from where.
        text: the page as it was shown; None if nobody knows that any more.

    Raises:
        InvalidRequest: it was answered before, or has expired; nothing is recorded.

    Side effects: two rows, one audit event.
    """
    _deny(waiting, origin, text)


def _deny(
    waiting: PendingDevice, origin: audit.RequestContext, text: screen.ScreenText | None
) -> None:
    consent = decision.record(waiting.asked, Decision.DENIED, ConsentDecision(), origin, text)
    _answer(waiting, denied_at=clock.now(), consent=consent)


def _answer(waiting: PendingDevice, **columns: Any) -> None:
    # Of answers side by side one wins. What a refused one has written so far is undone.
    if not _unanswered().filter(pk=waiting.key).update(**columns):
        raise _too_late()


def _unanswered() -> QuerySet[DeviceCode]:
    return DeviceCode.objects.filter(
        # One with an answer but neither of these waits for an operator
        approved_at=None,
        denied_at=None,
        consent=None,
        expires_at__gt=clock.now(),
    )


def _showing(code: str) -> DeviceCode | None:
    return _unanswered().filter(user_code_digest__in=digests_of(code)).first()


def _client_of(row: DeviceCode) -> RegisteredClient | None:
    client = lookup.find(row.client_id_value)
    # Since the device asked, its client may have been stopped, or another registered by its name
    if client is None or client.application.pk != row.client_id or not client.policy.enabled:
        return None
    return client if client.may_use(names.DEVICE_CODE) else None


def _waiting(row: DeviceCode, client: RegisteredClient, sign_in: SignIn) -> PendingDevice:
    # As at a redemption: only what the client may still have
    audience = client.narrowed_audience((), row.audience)
    asked = ConsentRequest(
        client=client,
        sign_in=sign_in,
        scope=client.narrowed_scope(None, row.scope, audience),
        audience=audience,
        constraints=row.constraints,
        grant_type=names.DEVICE_CODE,
        leads_to=ON_A_DEVICE,
        request_digest=row.digest,
    )
    return PendingDevice(row.pk, asked)


def _too_late() -> InvalidRequest:
    return InvalidRequest("This code was answered already or has expired. Start again.")
