"""time_window: when a delegation may be used, by dates and by hours of the week."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar, Final, Self

from delegation_app.protocol.constraints.base import (
    ALWAYS,
    AccessContext,
    Constraint,
    EnforcementPoint,
    InvalidConstraint,
    check_members,
    objects,
)
from delegation_app.protocol.constraints.schedule import Schedule

MAX_SCHEDULES: Final = 8

# RFC 3339 section 5.6, in capitals; a time without an offset is ambiguous
_DATE_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?"
    r"(?:Z|[+-][0-9]{2}:[0-9]{2})"
)


@dataclass(frozen=True, slots=True)
class TimeWindow(Constraint):
    """From `not_before`, until just before `not_after`, within the hours of every schedule.

    Dates are UTC. There is one schedule for each time zone, ordered by its name: hours in one
    zone can be cut down to common hours, but hours in two zones can only be judged one by one,
    since the difference between the zones changes over the year.
    """

    TYPE: ClassVar[str] = "time_window"
    ENFORCED_AT: ClassVar[frozenset[EnforcementPoint]] = ALWAYS

    not_before: datetime | None = None
    not_after: datetime | None = None
    schedules: tuple[Schedule, ...] = ()

    @classmethod
    def parse(cls, members: Mapping[str, object]) -> Self:
        """Read `not_before`, `not_after`, and `weekly` with its `time_zone`.

        At least one of the three is there. `weekly` is an array of objects with `days`, `from`
        and `to`, any of which may apply. `and` is an array of objects with a `weekly` and a
        `time_zone` of their own, all of which must apply as well.

        Raises:
            InvalidConstraint: the members are not as described, or contradict each other.
        """
        check_members(
            cls.TYPE, members, optional=["not_before", "not_after", "weekly", "time_zone", "and"]
        )
        if not members.keys() & {"not_before", "not_after", "weekly"}:
            raise InvalidConstraint("time_window: it needs not_before, not_after or weekly.")
        return cls._checked(
            _parse_time("not_before", members),
            _parse_time("not_after", members),
            _parse_schedules(members),
        )

    @classmethod
    def _checked(
        cls, not_before: datetime | None, not_after: datetime | None, schedules: Iterable[Schedule]
    ) -> Self:
        if not_before and not_after and not_before >= not_after:
            raise InvalidConstraint("time_window: not_before must be earlier than not_after.")
        by_zone: dict[str, Schedule] = {}
        for schedule in schedules:
            held = by_zone.get(schedule.zone)
            by_zone[schedule.zone] = schedule.narrowed(held) if held else schedule
        if len(by_zone) > MAX_SCHEDULES:
            raise InvalidConstraint(f"time_window: more than {MAX_SCHEDULES} time zones.")
        return cls(not_before, not_after, tuple(by_zone[zone] for zone in sorted(by_zone)))

    def as_json(self) -> dict[str, Any]:
        """Return the JSON object, with the schedules after the first one in `and`."""
        answer: dict[str, Any] = {"type": self.TYPE}
        for name, value in (("not_before", self.not_before), ("not_after", self.not_after)):
            if value:
                answer[name] = value.isoformat().replace("+00:00", "Z")
        if self.schedules:
            first, *others = (schedule.as_json() for schedule in self.schedules)
            answer |= first | ({"and": others} if others else {})
        return answer

    def narrowed(self, parent: Self) -> Self:
        """Return the time that is in both.

        Contradictions between time zones, or between dates and hours, are not detected: such a
        window never opens.

        Raises:
            InvalidConstraint: the dates, or the hours in one zone, leave nothing.
        """
        return self._checked(
            max(filter(None, (self.not_before, parent.not_before)), default=None),
            min(filter(None, (self.not_after, parent.not_after)), default=None),
            (*self.schedules, *parent.schedules),
        )

    def refusal(self, access: AccessContext) -> str | None:
        """Permit an access inside the window; `not_after` itself is outside."""
        if self.not_before and access.now < self.not_before:
            return "It may not be used yet."
        if self.not_after and access.now >= self.not_after:
            return "It may no longer be used."
        if not all(schedule.includes(access.now) for schedule in self.schedules):
            return "It may not be used at this hour."
        return None

    def describe(self) -> str:
        parts = []
        if self.not_before:
            parts.append(f"from {_readable(self.not_before)}")
        if self.not_after:
            parts.append(f"until {_readable(self.not_after)}")
        if self.schedules:
            parts.append(" and ".join(schedule.describe() for schedule in self.schedules))
        return f"Only {', '.join(parts)}."


def _parse_time(name: str, members: Mapping[str, object]) -> datetime | None:
    if name not in members:
        return None
    text = members[name]
    if not isinstance(text, str) or not _DATE_TIME.fullmatch(text):
        raise InvalidConstraint(
            f"time_window: {name} must be a date and time with an offset, such as"
            " 2026-01-01T00:00:00Z."
        )
    # In UTC, the first and the last hours of the calendar can fall off its ends.
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidConstraint(f"time_window: {name} is not a real date and time.") from error


def _parse_schedules(members: Mapping[str, object]) -> list[Schedule]:
    if not members.keys() & {"weekly", "time_zone", "and"}:
        return []
    if not members.keys() >= {"weekly", "time_zone"}:
        raise InvalidConstraint("time_window: weekly and time_zone belong together.")
    parts: list[Mapping[str, object]] = [members]
    if "and" in members:
        further = objects(TimeWindow.TYPE, "and", members["and"], limit=MAX_SCHEDULES)
        for part in further:
            check_members(TimeWindow.TYPE, part, required=["weekly", "time_zone"], nested=True)
        parts += further
    return [Schedule.parse(part["weekly"], part["time_zone"]) for part in parts]


def _readable(moment: datetime) -> str:
    return f"{moment.replace(tzinfo=None).isoformat(' ')} UTC"
