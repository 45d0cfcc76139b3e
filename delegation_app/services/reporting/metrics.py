"""Metrics for the dashboard of the admin.

Each reads a bounded part of a table and is cached for a minute.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

from django.core.cache import BaseCache
from django.db.models import BigIntegerField, Count, Q, Sum
from django.db.models.fields.json import KT
from django.db.models.functions import Cast, TruncHour

from delegation_app import clock
from delegation_app.events import (
    DELEGATION_REVOKED,
    TOKEN_EXCHANGED,
    TOKEN_IMPERSONATED,
    TOKEN_ISSUED,
    TOKEN_REFRESH_RETRIED,
    TOKEN_REFRESHED,
    TOKEN_REISSUED,
    TOKEN_REVOKED,
)
from delegation_app.models import AuditEvent, Delegation, SigningKey
from delegation_app.services import caching, limits, signing_keys
from delegation_app.services.paging import RowCount

HOURS: Final = 24
MAX_EVENTS: Final = 100_000
_SECONDS: Final = 60
_NAME: Final = "delegation:metrics:"
# Fewer refusals do not indicate a problem, whatever their share
_MIN_REFUSED: Final = 20

T = TypeVar("T")

_EXCHANGED: Final = [TOKEN_EXCHANGED.name, TOKEN_IMPERSONATED.name]
_AGAIN: Final = [TOKEN_REFRESH_RETRIED.name, TOKEN_REISSUED.name]
KINDS: Final[dict[str, Q]] = {
    "issued": Q(event__in=[TOKEN_ISSUED.name, TOKEN_REFRESHED.name, *_AGAIN, *_EXCHANGED]),
    "refused": Q(outcome=AuditEvent.Outcome.REFUSED),
    "exchanged": Q(event__in=_EXCHANGED),
    "revoked": Q(event__in=[DELEGATION_REVOKED.name, TOKEN_REVOKED.name]),
}
# An event of counted refusals represents several
_COUNTED: Final = Cast(KT("details__count"), BigIntegerField())


@dataclass(frozen=True, slots=True)
class Traffic:
    """Events of the last 24 hours.

    Attributes:
        hours: a count for each of the last 24 hours, by kind; see `KINDS`.
        since: the start of the counted period: 24 hours ago, or later if there were too many.
        is_cut: whether there were too many events to count all.
    """

    hours: Mapping[str, list[int]]
    since: datetime
    is_cut: bool


@dataclass(frozen=True, slots=True)
class Keys:
    """The signing keys and their problems.

    Attributes:
        activated_at: since when the active key signs; None if there is none.
        unreadable: ids of signing keys that cannot be decrypted.
    """

    activated_at: datetime | None
    unreadable: list[str]


def traffic() -> Traffic:
    """Return the events of the last 24 hours. At most two statements a minute."""
    return _kept("traffic", _traffic)


def live() -> RowCount:
    """Return how many of the newest delegations are live. At most two statements a minute."""
    return _kept("live", _live)


def signing() -> Keys:
    """Return the state of the signing keys. At most two statements a minute."""
    return _kept("keys", _keys)


def cache_answers() -> bool:
    """Return whether the cache works."""

    def keeps(cache: BaseCache) -> bool:
        cache.set(f"{_NAME}probe", 1, _SECONDS)
        return bool(cache.get(f"{_NAME}probe"))

    try:
        return bool(caching.use(keeps))
    except caching.CacheAway:
        return False


def many_refused(found: Traffic) -> bool:
    """Return whether this hour and the previous one have more refusals than usual."""
    refused, issued = found.hours["refused"], found.hours["issued"]
    lately, before = sum(refused[-2:]), refused[:-2]
    usual = 2 * sum(before) / len(before)
    return lately >= _MIN_REFUSED and lately > 3 * usual and lately > sum(issued[-2:]) / 4


def _traffic() -> Traffic:
    now = clock.now()
    first = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=HOURS - 1)
    day = AuditEvent.objects.filter(occurred_at__gte=first)
    newest = day.order_by("-occurred_at", "-pk").values_list("occurred_at", flat=True)
    # Bounds the count on a busy day; the limit is found in the index alone
    last = newest[MAX_EVENTS - 1 : MAX_EVENTS].first()
    rows = (
        (day if last is None else day.filter(occurred_at__gte=last))
        .order_by()
        .annotate(hour=TruncHour("occurred_at"))
        .values("hour")
        .annotate(**{name: Count("pk", filter=q) for name, q in KINDS.items()})
        .annotate(counted=Sum(_COUNTED - 1, filter=KINDS["refused"], default=0))
    )
    found: dict[str, list[int]] = {name: [0] * HOURS for name in KINDS}
    for row in map(dict[str, Any], rows):
        number = min(max(int((row["hour"] - first) / timedelta(hours=1)), 0), HOURS - 1)
        for name, counts in found.items():
            counts[number] += row[name]
        found["refused"][number] += row["counted"]
    return Traffic(found, last or first, is_cut=last is not None)


def _live() -> RowCount:
    now, most = clock.now(), limits.MAX_SCANNED
    newest = Delegation.objects.order_by("-issued_at", "-pk")
    last = newest.values_list("issued_at", flat=True)[most - 1 : most].first()
    rows = Delegation.objects.live(now)
    if last is not None:
        rows = rows.filter(issued_at__gte=last)
    found = RowCount.of(rows, limits.MAX_COUNT)
    return replace(found, is_all=found.is_all and last is None)


def _keys() -> Keys:
    active = SigningKey.objects.filter(state=SigningKey.KeyState.ACTIVE)
    when = active.values_list("activated_at", flat=True).first()
    return Keys(when, signing_keys.unreadable())


def _kept(name: str, count: Callable[[], T]) -> T:
    try:
        found: Any = caching.use(lambda cache: cache.get(_NAME + name))
    except caching.CacheAway:
        return count()
    if found is None:
        found = count()
        caching.later(lambda cache: cache.set(_NAME + name, found, _SECONDS))
    kept: T = found
    return kept
