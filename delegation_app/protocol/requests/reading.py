"""Reading what a person, a script or an operator typed: moments, keys and text.

One reader of each, for pages, interfaces and commands alike. What passes can be stored, compared
and shown on every database and in every time zone.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

# No offset is longer than a day, so between these a moment exists in every time zone
EARLIEST: Final = datetime.min.replace(tzinfo=UTC) + timedelta(days=2)
LATEST: Final = datetime.max.replace(tzinfo=UTC) - timedelta(days=2)
# What both databases keep as a whole number
LARGEST: Final = 2**63 - 1
# A NUL, which PostgreSQL refuses, and halves of a surrogate pair (RFC 8259 section 8.2)
_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")
_KEY: Final = re.compile(r"[0-9]{1,19}", re.ASCII)


def moment(text: str, zone: tzinfo | None = None) -> datetime:
    """Read a moment in ISO 8601.

    Args:
        text: such as `2026-11-03T14:00`, with or without an offset; a day is its first moment.
        zone: the time zone of a text without an offset; None requires one.

    Returns:
        The moment, with its offset.

    Raises:
        ValueError: it is not a moment, or outside the calendar in some time zone.
    """
    when = datetime.fromisoformat(text)
    if when.tzinfo is None:
        if zone is None:
            raise ValueError("a moment needs an offset")
        when = when.replace(tzinfo=zone)
    return bounded(when)


def bounded(when: datetime) -> datetime:
    """Return an aware moment, if it exists in every time zone.

    Raises:
        ValueError: it is at the ends of the calendar.
    """
    # Compared by their difference, which never leaves the calendar
    if not EARLIEST <= when <= LATEST:
        raise ValueError("the year must be between 1 and 9999")
    return when


def key(text: str) -> int:
    """Read the key of a row.

    Raises:
        ValueError: not ASCII digits, or more than a database keeps.
    """
    if not _KEY.fullmatch(text) or int(text) > LARGEST:
        raise ValueError("not a key")
    return int(text)


def is_storable(value: object) -> bool:
    """Return True if every database takes a value: text without NUL, a number of 64 bits."""
    if isinstance(value, str):
        return not _UNSTORABLE.search(value)
    if isinstance(value, int | float):
        return -LARGEST <= value <= LARGEST
    if isinstance(value, datetime) and value.tzinfo is not None:
        return EARLIEST <= value <= LATEST
    return True


def text(typed: str) -> str:
    """Return what was typed.

    Raises:
        ValueError: no database could store it.
    """
    if not is_storable(typed):
        raise ValueError("the text has a character that cannot be stored")
    return typed
