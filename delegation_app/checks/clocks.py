"""Checks of the machine's clock."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.core.checks import CheckMessage, Tags, register
from django.db import DatabaseError, InterfaceError, connections, router

from delegation_app import clock
from delegation_app.checks.messages import caution


@register(Tags.database)
def check_clock(databases: Sequence[str] | None = None, **_kwargs: Any) -> list[CheckMessage]:
    """W034: this machine's clock is more than two seconds off the database's."""
    from delegation_app.models import Delegation  # noqa: PLC0415 - apps not ready above

    alias = router.db_for_write(Delegation)
    if alias not in (databases or ()):
        return []
    try:
        connections[alias].ensure_connection()
    except (DatabaseError, InterfaceError):
        # Django says so itself
        return []
    # On a connection that was open before, nothing was measured just now
    clock.now()
    seconds = -clock.drift().total_seconds()
    if abs(clock.drift()) <= clock.NOTABLE:
        return []
    message = f"This machine's clock is {seconds:+.1f} seconds off the database's."
    hint = (
        "Synchronize both with NTP. The server corrects for it, but verifiers, logs, sessions and "
        "throttles on this machine do not."
    )
    return [caution(message, hint, "W034")]
