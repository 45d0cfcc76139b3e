"""Events that unauthenticated callers can cause: the first of a minute are rows, then a counter.

The cache counts them, so that a refusal costs no statement more. Beyond the limit a row of
`EventCount` counts exactly, for all processes; the first event written after its minute turns it
into one event. If there are too many counters of clients or addresses, the rest of a kind shares
one. So the number of rows per minute is bounded.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Lock
from typing import Any, Final

from django.core.cache import caches
from django.db import DatabaseError, IntegrityError, InterfaceError
from django.db.models import F

from delegation_app import clock
from delegation_app.conf import conf
from delegation_app.models import AuditEvent, EventCount
from delegation_app.protocol.printable import logger_for
from delegation_app.protocol.requests.addresses import budget_of
from delegation_app.protocol.secrets import digest
from delegation_app.services.transactions import durable, nested

logger = logger_for("delegation_app")

_WINDOW: Final = 60
_BATCH: Final = 100
_COUNTING: Final = "delegation:events:counting"
_COPIED: Final = (
    "event",
    "outcome",
    "reason",
    "actor",
    "client_id_value",
    "ip_address",
    "request_id",
)
_MOST_LOCAL: Final = 1000


@dataclass(frozen=True, slots=True)
class Group:
    """Events that are counted together.

    Attributes:
        kind: such as the refusing endpoint; of few values.
        client_id: the client; empty if unknown.
    """

    kind: str = ""
    client_id: str = ""


def record(row: AuditEvent, group: Group) -> None:
    """Store an event, or count it if there were many equal ones in this minute.

    Args:
        row: the unsaved event.
        group: counted together, with the name, reason and address.

    Side effects: one row is written or changed.
    """
    minute = int(row.occurred_at.timestamp()) // _WINDOW
    kind = f"{row.event}\n{row.reason}\n{group.kind}"
    mine = f"{kind}\n{group.client_id}\n{budget_of(row.ip_address)}"
    if nth(minute, mine) <= conf.refusal_events_per_minute:
        if nth(minute, row.event) <= conf.refusal_events_per_minute_total:
            row.save(force_insert=True)
            return
    elif _so_far(minute, row.event) <= conf.refusal_events_per_minute_total:
        row.client_id_value = group.client_id
        _count(row, minute, mine)
        return
    # Shared by all callers, so it names none
    row.client_id_value, row.actor, row.ip_address = "", "", None
    _count(row, minute, kind)


def times(event: AuditEvent) -> int:
    """Return the number of events that a stored one represents."""
    count = event.details.get("count")
    return count if isinstance(count, int) else 1


def write_finished() -> None:
    """Turn finished counters into events.

    Side effects: an event for each, in a transaction of its own. A failure is logged, and the
    counters are written later.
    """
    try:
        while EventCount.objects.filter(ends_at__lte=clock.now()).exists():
            _write_some()
    except (DatabaseError, InterfaceError):
        logger.exception("counted events were not written")


def write_expected() -> None:
    """Call `write_finished` if the cache has a finished counter."""
    try:
        ends_at = caches[conf.cache].get(_COUNTING)
    except Exception:
        logger.exception("the cache failed")
        return
    if ends_at is not None and ends_at <= clock.now().timestamp():
        caches[conf.cache].delete(_COUNTING)
        write_finished()


@durable
def _write_some() -> None:
    over = EventCount.objects.filter(ends_at__lte=clock.now()).order_by("ends_at")
    for counted in over[:_BATCH]:
        # Another process may have incremented or written it
        seen = EventCount.objects.filter(pk=counted.pk, count=counted.count)
        if seen.delete()[0]:
            _event_of(counted).save(force_insert=True)


def _event_of(counted: EventCount) -> AuditEvent:
    facts = {
        "count": counted.count,
        "first_at": counted.first_at.isoformat(),
        "last_at": counted.last_at.isoformat(),
    }
    return AuditEvent(
        occurred_at=clock.now(),
        details={**counted.details, **facts},
        **{name: getattr(counted, name) for name in _COPIED},
    )


def _count(row: AuditEvent, minute: int, key: str) -> None:
    found = EventCount.objects.filter(digest=digest(f"{minute}\n{key}"))
    more = {
        "count": F("count") + 1,
        "last_at": row.occurred_at,
        "request_id": row.request_id,
    }
    if found.update(**more):
        return
    try:
        with nested():
            _first(row, minute, key).save(force_insert=True)
    except IntegrityError:
        # Another request was the first
        found.update(**more)


def _first(row: AuditEvent, minute: int, key: str) -> EventCount:
    ends_at = datetime.fromtimestamp((minute + 1) * _WINDOW, tz=UTC)
    try:
        caches[conf.cache].set(_COUNTING, ends_at.timestamp(), timeout=None)
    except Exception:
        logger.exception("the cache failed")
    return EventCount(
        digest=digest(f"{minute}\n{key}"),
        details=row.details,
        first_at=row.occurred_at,
        last_at=row.occurred_at,
        ends_at=ends_at,
        **{name: getattr(row, name) for name in _COPIED},
    )


def nth(minute: int, group: str) -> int:
    """Increment and return the counter of a group in a minute."""
    name = f"delegation:events:{minute}:{digest(group)}"
    try:
        cache: Any = caches[conf.cache]
        if cache.add(name, 1, timeout=2 * _WINDOW):
            return 1
        return int(cache.incr(name))
    except Exception:
        # Evicted, or the cache is down: this process counts alone
        logger.exception("an event was not counted")
        return _local.nth(minute, name)


def _so_far(minute: int, group: str) -> int:
    try:
        return int(caches[conf.cache].get(f"delegation:events:{minute}:{digest(group)}") or 0)
    except Exception:
        logger.exception("events were not counted")
        return 0


class _LocalCounts:
    """Counts of one process, for the minute in which the cache fails."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._minute = 0
        self._counts: Counter[str] = Counter()

    def nth(self, minute: int, name: str) -> int:
        with self._lock:
            if minute != self._minute:
                self._minute, self._counts = minute, Counter()
            if name not in self._counts and len(self._counts) >= _MOST_LOCAL:
                name = ""
            self._counts[name] += 1
            return self._counts[name]


_local: Final = _LocalCounts()
