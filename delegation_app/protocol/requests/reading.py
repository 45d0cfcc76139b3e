"""Readers of typed input: moments, keys and text.

Pages, APIs and commands share one reader of each. Values that pass can be stored, compared and
shown on every database and in every time zone.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

# No offset exceeds a day, so a moment between these exists in every time zone
EARLIEST: Final = datetime.min.replace(tzinfo=UTC) + timedelta(days=2)
LATEST: Final = datetime.max.replace(tzinfo=UTC) - timedelta(days=2)
# The largest integer of both databases
LARGEST: Final = 2**63 - 1
# A NUL, which PostgreSQL refuses, and halves of a surrogate pair (RFC 8259 section 8.2)
_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")
_KEY: Final = re.compile(r"[0-9]{1,19}", re.ASCII)


def moment(text: str, zone: tzinfo | None = None) -> datetime:
    """Read a moment in ISO 8601.

    Args:
        text: such as `2026-11-03T14:00`, with or without an offset; a date is its first moment.
        zone: the time zone of a text without an offset; None requires an offset.

    Returns:
        The moment, with its offset.

    Raises:
        ValueError: not ISO 8601, or outside the calendar in some time zone.
    """
    when = datetime.fromisoformat(text)
    if when.tzinfo is None:
        if zone is None:
            raise ValueError("a moment needs an offset")
        when = when.replace(tzinfo=zone)
    return bounded(when)


def bounded(when: datetime) -> datetime:
    """Return an aware moment that exists in every time zone.

    Raises:
        ValueError: it is at the ends of the calendar.
    """
    # Python compares aware moments by their difference, which never leaves the calendar
    if not EARLIEST <= when <= LATEST:
        raise ValueError("the year must be between 1 and 9999")
    return when


def key(text: str) -> int:
    """Read a primary key.

    Raises:
        ValueError: not ASCII digits, or larger than a database stores.
    """
    if not _KEY.fullmatch(text) or int(text) > LARGEST:
        raise ValueError("not a key")
    return int(text)


def is_storable(value: object) -> bool:
    """Return whether every database can store a value: text without NUL, a 64-bit number."""
    if isinstance(value, str):
        return not _UNSTORABLE.search(value)
    if isinstance(value, int | float):
        return -LARGEST <= value <= LARGEST
    if isinstance(value, datetime) and value.tzinfo is not None:
        return EARLIEST <= value <= LATEST
    return True


def text(typed: str) -> str:
    """Return typed text.

    Raises:
        ValueError: a database cannot store it.
    """
    if not is_storable(typed):
        raise ValueError("the text has a character that cannot be stored")
    return typed
