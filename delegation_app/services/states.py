"""How delegations stand, in a word: the only spelling of what an operator or a person reads."""

from __future__ import annotations

from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from delegation_app.models import Delegation

State = Delegation.State


def with_state(rows: QuerySet[Delegation]) -> QuerySet[Any]:
    """Return rows that `state` can tell about without another statement."""
    live = Delegation.objects.live().filter(pk=OuterRef("pk"))
    return rows.annotate(is_in_force=Exists(live))


def state(row: Any) -> Delegation.State:
    """Return how a delegation of `with_state` stands."""
    if row.revoked_at is not None:
        return State.REVOKED
    if row.expires_at is not None and row.expires_at <= timezone.now():
        return State.EXPIRED
    return State.LIVE if row.is_in_force else State.SUSPENDED


def in_state(rows: QuerySet[Delegation], state: str) -> QuerySet[Delegation]:
    """Keep the delegations in a state; all of them for a word that is none."""
    now = timezone.now()
    live = Exists(Delegation.objects.live(now).filter(pk=OuterRef("pk")))
    match state:
        case State.LIVE:
            return rows.filter(live)
        case State.SUSPENDED:
            return not_over(rows).filter(~live)
        case State.EXPIRED:
            return rows.filter(expires_at__lte=now, revoked_at=None)
        case State.REVOKED:
            return rows.filter(revoked_at__isnull=False)
        case _:
            return rows


def not_over(rows: QuerySet[Delegation]) -> QuerySet[Delegation]:
    """Keep what is neither revoked nor expired: what is live, and what is suspended."""
    return rows.filter(Q(expires_at=None) | Q(expires_at__gt=timezone.now()), revoked_at=None)
