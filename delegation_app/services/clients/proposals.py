"""Changes of the registry proposed by one operator and decided by another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from django.db import IntegrityError, transaction

from delegation_app import clock
from delegation_app.events import (
    CHANGE_APPROVED,
    CHANGE_PROPOSED,
    CHANGE_REJECTED,
    CHANGE_STALE,
    CHANGE_WITHDRAWN,
    Event,
)
from delegation_app.models import ProposedChange
from delegation_app.protocol.errors import AccessDenied, InvalidRequest, OAuthError
from delegation_app.services import audit
from delegation_app.services.clients.snapshots import Diff
from delegation_app.services.transactions import database, durable, nested

LIFETIME: Final = timedelta(days=7)

_Kind, _State = ProposedChange.Kind, ProposedChange.ProposalState


class NotPending(InvalidRequest):
    """The proposal was decided, withdrawn, or has expired."""


class OwnProposal(AccessDenied):
    """An operator cannot decide a change of their own."""


class NotTheirs(AccessDenied):
    """Only the operator who proposed a change can withdraw it."""


class Stale(InvalidRequest):
    """The change cannot be applied to the current record."""


@dataclass(frozen=True, slots=True)
class ProposedValues:
    """A change that grants more access.

    Attributes:
        kind: the changed table.
        change: the kind of change.
        key: of the row; empty for a new one.
        name: a client id, an identifier or a delegation id.
        values: the differences.
        posted: the form as sent, without secrets: a list of values by name.
    """

    kind: ProposedChange.Kind
    change: ProposedChange.Change
    key: str
    name: str
    values: Diff
    posted: Mapping[str, list[str]] = field(default_factory=dict)


def propose(
    wanted: ProposedValues, origin: audit.RequestContext, *, reason: str = ""
) -> ProposedChange:
    """Store a change that is pending a second operator, or return the existing equal one.

    Args:
        wanted: the change.
        origin: the operator, and from where.
        reason: a sentence for the second operator.

    Returns:
        The proposal of this operator.

    Side effects: one row and one audit event, or nothing.
    """
    now = clock.now()
    same = {
        "kind": wanted.kind,
        "change": wanted.change,
        "key": wanted.key,
        "name": wanted.name[:300],
        "proposed_by": audit.printable(origin.actor, 300),
    }
    values = {"before": dict(wanted.values.before), "after": dict(wanted.values.after)}
    with nested():
        for row in ProposedChange.objects.waiting(now).filter(**same):
            # Compared here, because databases compare JSON differently
            if {"before": row.before, "after": row.after} == values:
                return row
        made = ProposedChange.objects.create(
            **same,
            **values,
            posted=dict(wanted.posted),
            proposed_at=now,
            reason=audit.printable(reason, 255),
            expires_at=now + LIFETIME,
        )
        _record(CHANGE_PROPOSED, made, origin, made.reason)
    return made


@durable
def approve(
    proposal: ProposedChange,
    origin: audit.RequestContext,
    *,
    reason: str,
    apply: Callable[[ProposedChange], None],
) -> OAuthError | None:
    """Approve a change and apply it, in one transaction.

    Args:
        proposal: a pending one.
        origin: the second operator, and from where.
        reason: a sentence for the record.
        apply: applies the proposed change, or raises `Stale`.

    Raises:
        NotPending: it was decided, withdrawn, or has expired.
        OwnProposal: the operator proposed it.
        Stale: it can no longer be applied. The proposal is closed as stale.

    Side effects: locks the proposal; one row, one audit event, and those of `apply`.
    """
    row = _locked(proposal)
    if origin.actor == row.proposed_by:
        return OwnProposal("Another operator must approve your proposal.")
    try:
        with transaction.atomic(using=database()):
            apply(row)
    except Stale as error:
        return _closed_as_stale(row, origin, error)
    except IntegrityError:
        taken = Stale("Another record with this name or identifier exists.")
        return _closed_as_stale(row, origin, taken)
    _decide(row, _State.APPROVED, origin, reason)
    _record(CHANGE_APPROVED, row, origin, reason)
    return None


@durable
def reject(
    proposal: ProposedChange, origin: audit.RequestContext, *, reason: str
) -> OAuthError | None:
    """Reject a change. See `approve` for what it raises.

    Side effects: locks the proposal; one row, one audit event.
    """
    row = _locked(proposal)
    if origin.actor == row.proposed_by:
        return OwnProposal("You proposed this change. Withdraw it instead.")
    _decide(row, _State.REJECTED, origin, reason)
    _record(CHANGE_REJECTED, row, origin, reason)
    return None


@durable
def withdraw(
    proposal: ProposedChange, origin: audit.RequestContext, *, reason: str
) -> OAuthError | None:
    """Withdraw the operator's own proposal.

    Raises:
        NotPending: it was decided, withdrawn, or has expired.
        NotTheirs: another operator proposed it.

    Side effects: locks the proposal; one row, one audit event.
    """
    row = _locked(proposal)
    if origin.actor != row.proposed_by:
        return NotTheirs("Only the operator who proposed this change can withdraw it.")
    _decide(row, _State.WITHDRAWN, origin, reason)
    _record(CHANGE_WITHDRAWN, row, origin, reason)
    return None


def is_pending(proposal: ProposedChange) -> bool:
    """Whether the proposal can be decided."""
    return proposal.state == _State.PENDING and proposal.expires_at > clock.now()


def _locked(proposal: ProposedChange) -> ProposedChange:
    row = ProposedChange.objects.select_for_update().filter(pk=proposal.pk).first()
    if row is None or not is_pending(row):
        raise NotPending("The change has already been decided, or has expired.")
    return row


def _closed_as_stale(row: ProposedChange, origin: audit.RequestContext, error: Stale) -> Stale:
    _decide(row, _State.STALE, origin, error.description)
    _record(CHANGE_STALE, row, origin, error.description)
    return error


def _decide(
    row: ProposedChange,
    state: ProposedChange.ProposalState,
    origin: audit.RequestContext,
    reason: str,
) -> None:
    row.state = state
    row.decided_by = audit.printable(origin.actor, 300)
    row.decided_at = clock.now()
    row.decision_reason = audit.printable(reason, 255)
    row.posted = {}
    row.save()


def _record(event: Event, row: ProposedChange, origin: audit.RequestContext, reason: str) -> None:
    details = {
        "proposal": row.pk,
        "proposed_by": row.proposed_by,
        "kind": row.kind,
        "name": row.name,
        "change": row.change,
        "before": row.before,
        "after": row.after,
    }
    client_id = row.name if row.kind == _Kind.CLIENT else ""
    audit.record(event, origin, client_id=client_id, reason=reason, details=details)
