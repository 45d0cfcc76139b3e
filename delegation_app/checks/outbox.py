"""Checks of what the site has still to be told of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any, Final

from django.core.checks import CheckMessage, Tags, register

from delegation_app import clock
from delegation_app.checks import subjects
from delegation_app.checks.subjects import caution

_LONGEST: Final = timedelta(minutes=15)


@register(Tags.database)
def check_outbox(databases: Iterable[str] | None = None, **_kwargs: Any) -> list[CheckMessage]:
    """W035: a message waits in the outbox for more than 15 minutes."""
    return subjects.found(_outbox, databases)


def _outbox() -> Iterator[CheckMessage]:
    from delegation_app.services import outbox  # noqa: PLC0415 - apps not ready above

    since = outbox.waiting_since()
    if since is None or clock.now() - since <= _LONGEST:
        return
    message = f"The oldest message in the outbox waits since {since:%Y-%m-%d %H:%M} UTC."
    hint = "Run manage.py delegation_outbox every few seconds, and look for receivers that fail."
    yield caution(message, hint, "W035")
