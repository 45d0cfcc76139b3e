"""Output of commands. Values from clients and users cannot send terminal escapes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.core.management.base import OutputWrapper
from django.utils import timezone

from delegation_app.services.reporting.audit_export import escaped


def moment(when: datetime | None) -> str:
    """Return a time in the site's time zone, to the second."""
    return "-" if when is None else f"{timezone.localtime(when):%Y-%m-%d %H:%M:%S}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return rows as aligned lines."""
    cells = [[escaped(cell) or "-" for cell in row] for row in (head, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]


def as_json(value: Any) -> str:
    """Return a value as one line of JSON in ASCII; times as ISO 8601."""
    return json.dumps(value, separators=(",", ":"), default=_other)


def plain(value: Any) -> str:
    """Return a value as readable text."""
    if isinstance(value, datetime):
        return moment(value)
    return " ".join(map(plain, value)) if isinstance(value, list) else str(value)


def is_terminal(stream: Any) -> bool:
    """Return whether a stream is a terminal."""
    return bool(getattr(stream, "isatty", lambda: False)())


class Progress:
    """A progress bar on a terminal; no output elsewhere.

    Args:
        stream: standard error, which keeps the output clean.
        total: the number of steps.
    """

    _WIDTH = 30

    def __init__(self, stream: OutputWrapper, total: int) -> None:
        self._stream, self._total = stream, max(total, 1)
        self._shown = is_terminal(stream)

    def at(self, done: int) -> None:
        """Draw the progress."""
        if self._shown:
            part = min(done / self._total, 1.0)
            bar = "#" * round(part * self._WIDTH)
            self._stream.write(f"\r[{bar.ljust(self._WIDTH)}] {done} of {self._total}", str, "")
            self._stream.flush()

    def close(self) -> None:
        """End the line of the bar."""
        if self._shown:
            self._stream.write("", str)


def _other(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
