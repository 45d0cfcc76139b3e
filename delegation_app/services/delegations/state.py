"""How delegations stand, in a word: the only spelling of what an operator or a person reads."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from django.db.models import BooleanField, Case, Q, QuerySet, Value, When

from delegation_app import clock
from delegation_app.models import Delegation
from delegation_app.models.validity import in_force

State = Delegation.State

# What has not ended: live, or suspended for as long as somebody is disabled
NOT_ENDED: Final = "not_ended"


def with_state(rows: QuerySet[Delegation]) -> QuerySet[Any]:
    """Return rows that `state` can tell about without another statement."""
    return rows.annotate(is_in_force=_forced(clock.now()))


def state(row: Any) -> Delegation.State:
    """Return how a delegation of `with_state` stands."""
    if row.revoked_at is not None:
        return State.REVOKED
    if row.expires_at is not None and row.expires_at <= clock.now():
        return State.EXPIRED
    return State.LIVE if row.is_in_force else State.SUSPENDED


def in_state(
    rows: QuerySet[Delegation], state: str, now: datetime | None = None
) -> QuerySet[Delegation]:
    """Keep the delegations in a state, or the NOT_ENDED; all of them for a word that is none.

    Args:
        rows: among which.
        state: a `Delegation.State`, or NOT_ENDED.
        now: the time to judge by; the present if left out.
    """
    now = now or clock.now()
    match state:
        case State.LIVE:
            return rows.filter(in_force(now))
        case State.SUSPENDED:
            # Not the negation: where a person or client is gone, that is neither true nor false
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
    """Keep what is neither revoked nor expired: what is live, and what is suspended."""
    now = now or clock.now()
    return rows.filter(Q(expires_at=None) | Q(expires_at__gt=now), revoked_at=None)


def _forced(now: datetime) -> Case:
    # Said of the row itself: a look at each row by its key would cost as much again
    return Case(
        When(in_force(now), then=Value(True)),  # noqa: FBT003 - an SQL value
        default=Value(False),  # noqa: FBT003 - an SQL value
        output_field=BooleanField(),
    )
