"""Following the audit trail as it grows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from delegation_app import clock
from delegation_app.models import AuditEvent
from delegation_app.services.reporting.audit_query import AuditQuery

# An event has the time at which it was written, and is seen when its transaction commits. So the
# minute before the last look is read again; what was told already is known by its key.
WINDOW: Final = timedelta(seconds=60)


class Follower:
    """Tells each event once, also one that is committed late.

    Args:
        trail: which events.
        since: the first moment to tell of.
    """

    def __init__(self, trail: AuditQuery, since: datetime) -> None:
        self._trail, self._since, self._looked = trail, since, since
        self._told: dict[int, datetime] = {}

    def news(self) -> Iterator[AuditEvent]:
        """Yield what was not told yet, oldest first."""
        # From the last look on, not from now: somebody may look once an hour
        start = max(self._since, self._looked - WINDOW)
        self._looked = clock.now()
        found = list(replace(self._trail, since=start).events.all())
        self._told = {key: when for key, when in self._told.items() if when >= start}
        for event in reversed(found):
            if event.pk not in self._told:
                self._told[event.pk] = event.occurred_at
                yield event

    def skip(self, event: AuditEvent) -> None:
        """Note that an event was told already."""
        self._told[event.pk] = event.occurred_at
