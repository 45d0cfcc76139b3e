"""What a revocation would stop now: counted over the rows that the deed will end."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import reduce
from operator import or_
from typing import Final

from django.db.models import Count, Max, Q

from delegation_app import clock
from delegation_app.conf import conf
from delegation_app.models import AccessToken, RefreshToken
from delegation_app.protocol.jose import SKEW_SECONDS
from delegation_app.services.delegations.selection import Selection

# How often `delegation_app.resource_server` asks for status lists unless a site says otherwise
_POLL_SECONDS: Final = 5


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
    """Return what revoking all of `chosen` would stop now. Reads only.

    Three statements, however many are chosen; nothing but the counts is read.
    """
    parts = [selection.rows for selection in chosen]
    if not parts:
        return Preview()
    now, rows = clock.now(), reduce(or_, parts)
    held = rows.order_by().aggregate(
        delegations=Count("pk"),
        clients=Count("delegate_client_id", distinct=True),
        people=Count("subject", distinct=True, filter=Q(principal_user__isnull=False)),
    )
    good = {"delegation__in": rows, "expires_at__gt": now}
    refresh = RefreshToken.objects.filter(consumed_at=None, **good)
    # An opaque token says nothing to anybody who does not ask.
    access = AccessToken.objects.filter(revoked_at=None, **good).aggregate(
        tokens=Count("pk"), last=Max("expires_at", filter=Q(digest=None))
    )
    last = access["last"]
    return Preview(
        **held,
        access_tokens=access["tokens"],
        refresh_tokens=refresh.count(),
        offline_until=None if last is None else last + timedelta(seconds=SKEW_SECONDS),
    )


def followers_seconds() -> int:
    """Return after how many seconds those who verify by themselves and follow the lists stop.

    A list may be that old when it is served, and is asked for again after the longer of the times.
    """
    return max(conf.status_list_ttl, _POLL_SECONDS) + conf.status_list_cache_seconds
