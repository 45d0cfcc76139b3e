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
    """W034: this machine's clock is more than two seconds off the database's."""
    return subjects.found(_clock, databases)


def _clock() -> Iterator[CheckMessage]:
    connections[subjects.our_alias()].ensure_connection()
    # On a connection that was open before, nothing was measured just now
    clock.now()
    seconds = -clock.drift().total_seconds()
    if abs(clock.drift()) <= clock.NOTABLE:
        return
    message = f"This machine's clock is {seconds:+.1f} seconds off the database's."
    hint = (
        "Synchronize both with NTP. The server corrects for it, but verifiers, logs, sessions and "
        "throttles on this machine do not."
    )
    yield caution(message, hint, "W034")
