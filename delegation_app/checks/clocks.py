"""Checks of the machine's clock."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django.core.checks import CheckMessage, Tags, register
from django.db import connections

from delegation_app import clock
from delegation_app.checks import subjects
from delegation_app.checks.subjects import caution


@register(Tags.database)
def check_clock(databases: Iterable[str] | None = None, **_kwargs: Any) -> list[CheckMessage]:
    """W034: this machine's clock differs from the database's by more than two seconds."""
    return subjects.found(_clock, databases)


def _clock() -> Iterator[CheckMessage]:
    connections[subjects.our_alias()].ensure_connection()
    # An open connection does not measure again
    clock.now()
    seconds = -clock.drift().total_seconds()
    if abs(clock.drift()) <= clock.NOTABLE:
        return
    message = f"This machine's clock differs from the database's by {seconds:+.1f} seconds."
    hint = (
        "Synchronize both with NTP. The server corrects the difference; verifiers, logs, sessions "
        "and throttles on this machine do not."
    )
    yield caution(message, hint, "W034")
