"""The state of a delegation in a word: the only definition of what operators and users read."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from django.db.models import BooleanField, Case, Q, QuerySet, Value, When

from delegation_app import clock
from delegation_app.models import Delegation
from delegation_app.models.validity import in_force

State = Delegation.State

# Live, or suspended while its user or a client is disabled
NOT_ENDED: Final = "not_ended"


def with_state(rows: QuerySet[Delegation]) -> QuerySet[Any]:
    """Annotate rows for `state`."""
    return rows.annotate(is_in_force=_forced(clock.now()))


def state(row: Any) -> Delegation.State:
    """Return the state of a delegation of `with_state`."""
    if row.revoked_at is not None:
        return State.REVOKED
    if row.expires_at is not None and row.expires_at <= clock.now():
        return State.EXPIRED
    return State.LIVE if row.is_in_force else State.SUSPENDED


def in_state(
    rows: QuerySet[Delegation], state: str, now: datetime | None = None
) -> QuerySet[Delegation]:
    """Return the delegations in a state, or the NOT_ENDED; all of them for an unknown state.

    Args:
        rows: the delegations to filter.
        state: a `Delegation.State`, or NOT_ENDED.
        now: the time of the judgement (UTC); the present by default.
    """
    now = now or clock.now()
    match state:
        case State.LIVE:
            return rows.filter(in_force(now))
        case State.SUSPENDED:
            # Not the negation: for a deleted user or client, the condition is NULL
            return not_over(rows, now).alias(force=_forced(now)).filter(force=False)
        case State.EXPIRED:
            return rows.filter(expires_at__lte=now, revoked_at=None)
        case State.REVOKED:
            return rows.filter(revoked_at__isnull=False)
        case _ if state == NOT_ENDED:
            return not_over(rows, now)
        case _:
            return rows


def not_over(rows: QuerySet[Delegation], now: datetime | None = None) -> QuerySet[Delegation]:
    """Return the delegations that are neither revoked nor expired: live or suspended ones."""
    now = now or clock.now()
    return rows.filter(Q(expires_at=None) | Q(expires_at__gt=now), revoked_at=None)


def _forced(now: datetime) -> Case:
    # A condition on the row itself: a subquery for each row would double the cost
    return Case(
        When(in_force(now), then=Value(True)),  # noqa: FBT003 - an SQL value
        default=Value(False),  # noqa: FBT003 - an SQL value
        output_field=BooleanField(),
    )
