"""Following the audit trail as it grows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from delegation_app import clock
from delegation_app.models import AuditEvent
from delegation_app.services.reporting.audit_query import AuditQuery

# An event has the time at which it was written, but becomes visible when its transaction commits.
# So the minute before the last poll is read again, and yielded events are skipped by key.
WINDOW: Final = timedelta(seconds=60)


class Follower:
    """Yields each event once, including events that are committed late.

    Args:
        query: the filter of the events.
        since: the earliest time of an event.
    """

    def __init__(self, query: AuditQuery, since: datetime) -> None:
        self._query, self._since, self._polled = query, since, since
        self._seen: dict[int, datetime] = {}

    def news(self) -> Iterator[AuditEvent]:
        """Yield new events, oldest first."""
        # From the last poll on, since polls may be an hour apart
        start = max(self._since, self._polled - WINDOW)
        self._polled = clock.now()
        found = list(replace(self._query, since=start).events.all())
        self._seen = {key: when for key, when in self._seen.items() if when >= start}
        for event in reversed(found):
            if event.pk not in self._seen:
                self._seen[event.pk] = event.occurred_at
                yield event

    def skip(self, event: AuditEvent) -> None:
        """Mark an event as yielded."""
        self._seen[event.pk] = event.occurred_at
