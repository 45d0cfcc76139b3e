"""What a revocation would stop now: counted over the rows that the deed will end."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Max
from django.utils import timezone

from delegation_app.models import AccessToken, RefreshToken
from delegation_app.protocol.jose import SKEW_SECONDS
from delegation_app.services.selections import Selection


@dataclass(frozen=True, slots=True)
class Preview:
    """What would end.

    Attributes:
        delegations: how many.
        access_tokens, refresh_tokens: how many that are good now.
        clients: how many clients hold them.
        people: how many people granted them.
        offline_until: until when somebody who verifies tokens without asking may still accept
            one; None if there is none.
    """

    delegations: int = 0
    access_tokens: int = 0
    refresh_tokens: int = 0
    clients: int = 0
    people: int = 0
    offline_until: datetime | None = None


def preview(chosen: Iterable[Selection]) -> Preview:
    """Return what revoking all of `chosen` would stop now. Reads only."""
    parts = [_counts(selection) for selection in chosen]
    clients = set().union(*(part.clients for part in parts))
    people = set().union(*(part.people for part in parts))
    return Preview(
        delegations=sum(part.delegations for part in parts),
        access_tokens=sum(part.access_tokens for part in parts),
        refresh_tokens=sum(part.refresh_tokens for part in parts),
        clients=len(clients),
        people=len(people),
        offline_until=max((part.last for part in parts if part.last is not None), default=None),
    )


@dataclass(frozen=True, slots=True)
class _Counts:
    delegations: int
    access_tokens: int
    refresh_tokens: int
    clients: set[str]
    people: set[str]
    last: datetime | None


def _counts(selection: Selection) -> _Counts:
    now, rows = timezone.now(), selection.rows
    access = AccessToken.objects.filter(delegation__in=rows, revoked_at=None, expires_at__gt=now)
    refresh = RefreshToken.objects.filter(delegation__in=rows, consumed_at=None, expires_at__gt=now)
    # An opaque token says nothing to anybody who does not ask.
    last = access.filter(digest=None).aggregate(last=Max("expires_at"))["last"]
    return _Counts(
        delegations=rows.count(),
        access_tokens=access.count(),
        refresh_tokens=refresh.count(),
        clients=set(rows.values_list("delegate_client_id", flat=True).distinct()),
        people=set(rows.exclude(principal_user=None).values_list("subject", flat=True).distinct()),
        last=None if last is None else last + timedelta(seconds=SKEW_SECONDS),
    )
