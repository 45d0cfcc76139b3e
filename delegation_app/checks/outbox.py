"""Checks of undelivered outbox messages."""

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
    """W035: an outbox message has been undelivered for more than 15 minutes."""
    return subjects.found(_outbox, databases)


def _outbox() -> Iterator[CheckMessage]:
    from delegation_app.services import outbox  # noqa: PLC0415 - apps not ready above

    since = outbox.waiting_since()
    if since is None or clock.now() - since <= _LONGEST:
        return
    message = f"The oldest message in the outbox is undelivered since {since:%Y-%m-%d %H:%M} UTC."
    hint = "Run manage.py delegation_outbox every few seconds, and check for failing receivers."
    yield caution(message, hint, "W035")
