"""What an operator says to a consent that has to be confirmed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from delegation_app import clock
from delegation_app.events import CONSENT_CONFIRMED, CONSENT_REFUSED
from delegation_app.models import ConsentRecord, DeviceCode
from delegation_app.protocol import names
from delegation_app.protocol.errors import AccessDenied, InvalidRequest
from delegation_app.services import audit
from delegation_app.services.clients import lookup
from delegation_app.services.consent import history
from delegation_app.services.delegations import creation
from delegation_app.services.delegations.terms import SignIn, Terms
from delegation_app.services.transactions import durable

_Confirmation = ConsentRecord.Confirmation


class NothingToConfirm(InvalidRequest):
    """It does not wait any more: it was answered, withdrawn, or its time is over."""


class OwnConsent(AccessDenied):
    """Nobody confirms what they have allowed themselves."""


@durable
def confirm(consent: ConsentRecord, origin: audit.RequestContext, *, reason: str) -> None:
    """Let a consent speak. An app finds it so when it asks again; a device that waits goes on.

    Args:
        consent: one that waits.
        origin: the operator, and from where.
        reason: a sentence for the record.

    Raises:
        OwnConsent: the operator is the person who gave it.
        NothingToConfirm: it does not wait any more.

    Side effects: locks the record; one row, one audit event. Where a device waits: its
    delegation is opened, which is two rows and one event more.
    """
    _decide(consent, origin, reason, _Confirmation.CONFIRMED)
    audit.record(CONSENT_CONFIRMED, origin, consent=consent, reason=reason)
    code = _waiting(consent).filter(expires_at__gt=clock.now()).select_for_update().first()
    if code is None or (terms := _terms(consent, code)) is None:
        return
    # The user may have taken it back since the answer
    if creation.cut(terms) is None:
        turn_away(consent)
        return
    delegation = creation.create(terms, origin)
    _waiting(consent).update(approved_at=clock.now(), delegation=delegation)


@durable
def refuse(consent: ConsentRecord, origin: audit.RequestContext, *, reason: str) -> None:
    """Refuse to confirm a consent; a device that waits is told no. See `confirm`.

    Side effects: locks the record; one or two rows, one audit event.
    """
    _decide(consent, origin, reason, _Confirmation.REFUSED)
    audit.record(CONSENT_REFUSED, origin, consent=consent, reason=reason)
    turn_away(consent)


def turn_away(consent: ConsentRecord) -> None:
    """Tell a device that waits for a confirmation that there will be none.

    Side effects: at most one row. Call it inside a transaction.
    """
    if consent.confirmation != _Confirmation.NOT_NEEDED:
        _waiting(consent).update(denied_at=clock.now())


def is_own(consent: ConsentRecord, actor: str) -> bool:
    """Tell whether a subject would confirm what they have allowed themselves."""
    return consent.subject == actor


def _decide(
    consent: ConsentRecord, origin: audit.RequestContext, reason: str, to: _Confirmation
) -> None:
    # Four eyes: what one person alone could let through was not confirmed
    if is_own(consent, origin.actor):
        raise OwnConsent("Another operator has to confirm what you have allowed yourself.")
    now = clock.now()
    columns = _said(now, origin, reason, to)
    if not ConsentRecord.objects.awaiting(now).filter(pk=consent.pk).update(**columns):
        raise NothingToConfirm("There is nothing to confirm any more.")
    consent.refresh_from_db()


def _said(
    now: datetime, origin: audit.RequestContext, reason: str, to: _Confirmation
) -> dict[str, Any]:
    return {
        "confirmation": to,
        "confirmation_at": now,
        "confirmation_by": audit.printable(origin.actor, 300),
        "confirmation_reason": audit.printable(reason, 255),
    }


def _waiting(consent: ConsentRecord) -> Any:
    return DeviceCode.objects.filter(consent=consent.pk, approved_at=None, denied_at=None)


def _terms(consent: ConsentRecord, code: DeviceCode) -> Terms | None:
    client = lookup.find(consent.client_id_value)
    # Its client may be another one by now, and its person gone: nothing is opened for those
    if client is None or client.application.pk != code.client_id or consent.user is None:
        return None
    return Terms(
        client=client,
        scope=consent.scopes_granted,
        audience=consent.audience,
        grant_type=names.DEVICE_CODE,
        constraints=consent.constraints,
        sign_in=SignIn(consent.user, consent.auth_time or consent.decided_at, consent.acr),
        consent=consent,
        expires_at=history.ends_at(consent, client),
        allowed_at=consent.decided_at,
    )
