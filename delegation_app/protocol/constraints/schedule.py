"""Weekly hours in one time zone, the part of time_window that repeats."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Self, TypeAlias
from zoneinfo import ZoneInfo

from delegation_app.protocol.constraints.base import (
    InvalidConstraint,
    check_members,
    objects,
    shown,
    strings,
)

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MAX_SPANS: Final = 168
_KIND: Final = "time_window"
_DAY: Final = 24 * 60
_WEEK: Final = 7 * _DAY
_ZONE_LENGTH: Final = 64

# Names in the IANA database; lowercase ones are other files of its folder
_ZONE = re.compile(r"[A-Z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+){0,2}")
_TIME = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]|24:00")

Span: TypeAlias = tuple[int, int]
"""Minutes since Monday 00:00: the first one inside, and the first one after."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """Hours that repeat every week.

    In local time: hours repeated by a clock change count twice, and skipped hours do not occur.

    Args:
        zone: name in the IANA time zone database.
        spans: in ascending order, cut at every midnight, otherwise neither touching nor
            overlapping, so that equal hours are equal values.
    """

    zone: str
    spans: tuple[Span, ...]

    @classmethod
    def parse(cls, weekly: object, zone: object) -> Self:
        """Read the JSON values of `weekly` and `time_zone`.

        Raises:
            InvalidConstraint: an unknown zone or day, a malformed time, or too many entries.
        """
        entries = objects(_KIND, "weekly", weekly, limit=MAX_SPANS)
        spans = (span for entry in entries for span in _parse_entry(entry))
        return cls(_parse_zone(zone), _canonical(spans))

    def as_json(self) -> dict[str, Any]:
        """Return the members `weekly` and `time_zone`. No entry goes over midnight."""
        return {
            "weekly": [
                {"days": [DAYS[day] for day in days], "from": start, "to": end}
                for (start, end), days in self._hours().items()
            ],
            "time_zone": self.zone,
        }

    def narrowed(self, other: Self) -> Self:
        """Return the hours that are in both; the zones must be the same.

        Raises:
            InvalidConstraint: there are none, or they are too many pieces.
        """
        pairs = ((one, two) for one in self.spans for two in other.spans)
        both = ((max(one[0], two[0]), min(one[1], two[1])) for one, two in pairs)
        spans = _canonical(span for span in both if span[0] < span[1])
        if not spans:
            raise InvalidConstraint("time_window: no hours would be left.")
        return type(self)(self.zone, spans)

    def includes(self, now: datetime) -> bool:
        """Whether `now`, an aware datetime, is in the hours."""
        local = now.astimezone(ZoneInfo(self.zone))
        minute = local.weekday() * _DAY + local.hour * 60 + local.minute
        return any(start <= minute < end for start, end in self.spans)

    def describe(self) -> str:
        """Return the hours in short, such as `Mon, Tue 09:00-17:00 (Europe/Berlin)`."""
        hours = (
            f"{', '.join(DAYS[day].title() for day in days)} {start}-{end}"
            for (start, end), days in self._hours().items()
        )
        return f"{'; '.join(hours)} ({self.zone})"

    def _hours(self) -> dict[tuple[str, str], list[int]]:
        hours: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
        for start, end in self.spans:
            midnight = start - start % _DAY
            hours[_clock(start - midnight), _clock(end - midnight)].append(start // _DAY)
        return hours


def _parse_zone(zone: object) -> str:
    if not isinstance(zone, str) or len(zone) > _ZONE_LENGTH or not _ZONE.fullmatch(zone):
        raise InvalidConstraint("time_window: time_zone is not the name of a time zone.")
    try:
        ZoneInfo(zone)
    # A directory of the database, such as Europe, is an OSError.
    except (KeyError, ValueError, OSError) as error:
        raise InvalidConstraint("time_window: time_zone is not known here.") from error
    return zone


def _parse_entry(entry: dict[str, object]) -> list[Span]:
    check_members(_KIND, entry, required=["days", "from", "to"], nested=True)
    days = strings(_KIND, "days", entry["days"], limit=len(DAYS))
    for day in days:
        if day not in DAYS:
            raise InvalidConstraint(f"time_window: {shown(day)} is not one of {', '.join(DAYS)}.")
    start, end = _minutes("from", entry["from"]), _minutes("to", entry["to"])
    if start == _DAY:
        raise InvalidConstraint("time_window: from must be before 24:00.")
    # An end at or before the start is on the next day; the entry belongs to the day it begins on.
    length = end - start if end > start else end - start + _DAY
    starts = (DAYS.index(day) * _DAY + start for day in days)
    return [(begin, begin + length) for begin in starts]


def _minutes(name: str, value: object) -> int:
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        raise InvalidConstraint(f"time_window: {name} must be a time such as 09:00.")
    return int(value[:2]) * 60 + int(value[3:])


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


def _canonical(spans: Iterable[Span]) -> tuple[Span, ...]:
    joined: list[Span] = []
    for start, end in sorted(piece for span in spans for piece in _cut(*span)):
        before = joined[-1] if joined else (-_DAY, -_DAY)
        if start // _DAY == before[0] // _DAY and start <= before[1]:
            joined[-1] = (before[0], max(before[1], end))
        else:
            joined.append((start, end))
    if len(joined) > MAX_SPANS:
        raise InvalidConstraint(f"time_window: more than {MAX_SPANS} spans of hours in a week.")
    return tuple(joined)


def _cut(start: int, end: int) -> list[Span]:
    """Cut a span of at most 24 hours at midnight; the week after Sunday begins with Monday."""
    midnight = start - start % _DAY + _DAY
    if end <= midnight:
        return [(start, end)]
    following = midnight % _WEEK
    return [(start, midnight), (following, following + end - midnight)]
