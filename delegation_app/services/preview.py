"""What a revocation would stop now: counted over the rows that the deed will end."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Max, Q
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
    # Each table is read once: somebody waits for this, and there may be a million tokens
    holdings = rows.order_by().values_list("delegate_client_id", "subject", "principal_user")
    held = list(holdings.annotate(Count("pk")))
    good = {"delegation__in": rows, "expires_at__gt": now}
    refresh = RefreshToken.objects.filter(consumed_at=None, **good)
    # An opaque token says nothing to anybody who does not ask.
    access = AccessToken.objects.filter(revoked_at=None, **good).aggregate(
        tokens=Count("pk"), last=Max("expires_at", filter=Q(digest=None))
    )
    return _Counts(
        delegations=sum(count for _client, _subject, _user, count in held),
        access_tokens=access["tokens"],
        refresh_tokens=refresh.count(),
        clients={client for client, _subject, _user, _count in held},
        people={subject for _client, subject, user, _count in held if user is not None},
        last=None if access["last"] is None else access["last"] + timedelta(seconds=SKEW_SECONDS),
    )
