"""Consents after the answer: approval or rejection by an operator, and withdrawal."""

from __future__ import annotations

from typing import Any

from delegation_app import clock
from delegation_app.events import CONSENT_CONFIRMED, CONSENT_REFUSED, CONSENT_WITHDRAWN
from delegation_app.models import ConsentRecord, DeviceCode
from delegation_app.protocol import names
from delegation_app.protocol.errors import AccessDenied, InvalidRequest
from delegation_app.services import audit
from delegation_app.services.clients import lookup
from delegation_app.services.consent import history
from delegation_app.services.delegations import creation, revocation
from delegation_app.services.delegations.terms import SignIn, Terms
from delegation_app.services.transactions import durable, part

_Confirmation = ConsentRecord.Confirmation


class NothingToApprove(InvalidRequest):
    """The consent does not await approval any more: it was decided, withdrawn, or has expired."""


class OwnConsent(AccessDenied):
    """Operators cannot approve their own consent."""


@durable
def approve(consent: ConsentRecord, context: audit.RequestContext, *, reason: str) -> None:
    """Make a consent effective. An app notices at its next request; a waiting device continues.

    Args:
        consent: one that awaits approval.
        context: the operator and the origin of the request.
        reason: a sentence for the record.

    Raises:
        OwnConsent: the operator is the user who gave it.
        NothingToApprove: it does not await approval any more.

    Side effects: locks the record; one row, one audit event. Where a device waits: its
    delegation is created, which is two rows and one event more.
    """
    _decide(consent, context, reason, _Confirmation.CONFIRMED)
    audit.record(CONSENT_CONFIRMED, context, consent=consent, reason=reason)
    code = _waiting(consent).filter(expires_at__gt=clock.now()).select_for_update().first()
    if code is None or (terms := _terms(consent, code)) is None:
        return
    # All of it may have been blocked since the answer
    if creation.cut(terms) is None:
        reject_device(consent)
        return
    delegation = creation.create(terms, context)
    _waiting(consent).update(approved_at=clock.now(), delegation=delegation)


@durable
def reject(consent: ConsentRecord, context: audit.RequestContext, *, reason: str) -> None:
    """Reject a consent; a waiting device is denied. See `approve`.

    Side effects: locks the record; one or two rows, one audit event.
    """
    _decide(consent, context, reason, _Confirmation.REFUSED)
    audit.record(CONSENT_REFUSED, context, consent=consent, reason=reason)
    reject_device(consent)


@part
def withdraw(
    consent: ConsentRecord, context: audit.RequestContext, *, reason: str, leaves_block: bool = True
) -> int:
    """Withdraw a consent and revoke the delegations on it; return how many delegations ended.

    Args:
        consent: the record of the answer.
        context: the withdrawing actor and the origin of the request.
        reason: a sentence for the record.
        leaves_block: False where all of the pair is blocked already.

    Side effects: one row, one audit event, and those of `revocation.revoke_delegations`; a
    device that waits for approval is denied.
    """
    effective = ConsentRecord.objects.filter(pk=consent.pk, withdrawn_at=None)
    actor = audit.printable(context.actor, 300)
    is_first = bool(effective.update(withdrawn_at=clock.now(), withdrawn_by=actor))
    if is_first:
        reject_device(consent)
        audit.record(CONSENT_WITHDRAWN, context, consent=consent, reason=reason)
    return revocation.of_consent(
        consent, context, reason=reason, leaves_block=leaves_block and is_first
    )


def reject_device(consent: ConsentRecord) -> None:
    """Deny a device that waits for approval.

    Side effects: at most one row. Call it inside a transaction.
    """
    if consent.confirmation != _Confirmation.NOT_NEEDED:
        _waiting(consent).update(denied_at=clock.now())


def is_own(consent: ConsentRecord, actor: str) -> bool:
    """Return whether the actor is the user who gave the consent."""
    return consent.subject == actor


def _decide(
    consent: ConsentRecord, context: audit.RequestContext, reason: str, to: _Confirmation
) -> None:
    # Four eyes: approval takes a second person
    if is_own(consent, context.actor):
        raise OwnConsent("Another operator has to approve your own consent.")
    now = clock.now()
    awaiting = ConsentRecord.objects.awaiting(now).filter(pk=consent.pk)
    is_first = awaiting.update(
        confirmation=to,
        confirmation_at=now,
        confirmation_by=audit.printable(context.actor, 300),
        confirmation_reason=audit.printable(reason, 255),
    )
    if not is_first:
        raise NothingToApprove("This consent does not await approval any more.")
    consent.refresh_from_db()


def _waiting(consent: ConsentRecord) -> Any:
    return DeviceCode.objects.filter(consent=consent.pk, approved_at=None, denied_at=None)


def _terms(consent: ConsentRecord, code: DeviceCode) -> Terms | None:
    client = lookup.find(consent.client_id_value)
    # The client may have been replaced since, and the user deleted
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
