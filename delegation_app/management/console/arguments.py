"""Types of arguments: times, ages, ids."""

from __future__ import annotations

import re
from argparse import ArgumentTypeError
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.utils import timezone

from delegation_app.protocol.requests import reading
from delegation_app.protocol.requests.public_id import as_uuid

_AGE: Final = re.compile(r"([0-9]{1,6})([smhdw])", re.ASCII)
_MAX_COUNT: Final = 1_000_000
_SHORTEST: Final = 0.1
_DAY: Final = 86_400
_UNITS: Final = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}


def age(text: str) -> timedelta:
    """Read a duration such as 90d, 12h, 30m, 45s or 2w."""
    found = _AGE.fullmatch(text)
    if found is None:
        raise ArgumentTypeError(f"{text!r} is not an age. Write 45s, 30m, 12h, 90d or 2w.")
    # No date is that old
    return min(int(found[1]) * _UNITS[found[2]], timedelta(days=365 * 100))


def moment(text: str) -> datetime:
    """Read a time or a day, such as 2026-11-03T14:00, by default in the site's time zone."""
    try:
        return reading.moment(text, timezone.get_current_timezone())
    except ValueError as error:
        problem = f"{text!r} is not a date: {error}. Write 2026-11-03T14:00."
        raise ArgumentTypeError(problem) from error


def text(typed: str) -> str:
    """Read a name or an id."""
    try:
        return reading.text(typed)
    except ValueError as error:
        raise ArgumentTypeError(f"{typed!r} cannot be a name or an id: {error}.") from error


def public_id(text: str) -> UUID:
    """Read the id of a delegation."""
    found = as_uuid(text, as_typed=True)
    if found is None:
        raise ArgumentTypeError(f"{text!r} is not a delegation id.")
    return found


def seconds(text: str) -> float:
    """Read a pause, from a tenth of a second to a day."""
    try:
        found = float(text)
    except ValueError:
        found = 0
    # Also refuses NaN and infinity
    if not _SHORTEST <= found <= _DAY:
        raise ArgumentTypeError("Write a number of seconds from 0.1 to 86400.")
    return found


def count(text: str) -> int:
    """Read a limit."""
    if not (text.isascii() and text.isdecimal()) or not 1 <= int(text[:9]) <= _MAX_COUNT:
        raise ArgumentTypeError("Write a number from 1 to 1000000.")
    return int(text)
