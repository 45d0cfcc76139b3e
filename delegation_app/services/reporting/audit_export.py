"""Audit events as text: JSON for one event, lines of CSV or JSON for many.

The columns have values from clients and users. So no value may be a spreadsheet formula or a
terminal escape.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from django.db.models import Model

from delegation_app.models import AuditEvent
from delegation_app.protocol.printable import UNPRINTABLE

CSV: Final = "csv"
NDJSON: Final = "ndjson"
TYPES: Final[Mapping[str, str]] = {
    CSV: "text/csv; charset=utf-8; header=present",
    NDJSON: "application/x-ndjson",
}

_ESCAPES: Final = (("x", 2), ("u", 4), ("U", 8))
_FORMULA: Final = frozenset("=+-@\uff1d\uff0b\uff0d\uff20")
_COLUMNS: Final = (
    "id",
    "occurred_at",
    "event",
    "outcome",
    "actor",
    "subject",
    "client_id",
    "delegation",
    "consent",
    "jti",
    "reason",
    "ip_address",
    "request_id",
    "details",
)


def members(event: AuditEvent) -> dict[str, Any]:
    """Return an event as JSON members.

    Args:
        event: best from `audit_query.with_public_ids`, or its delegation and consent are queried.
    """
    return {
        "id": event.pk,
        "occurred_at": event.occurred_at.isoformat(),
        "event": event.event,
        "outcome": event.outcome,
        "actor": event.actor,
        "subject": event.subject,
        "client_id": event.client_id_value,
        "delegation": _public_id(event, "delegation"),
        "consent": _public_id(event, "consent"),
        "jti": event.jti,
        "reason": event.reason,
        "ip_address": event.ip_address,
        "request_id": event.request_id,
        "details": event.details,
    }


def lines(events: Iterable[AuditEvent], form: str) -> Iterator[str]:
    """Yield the lines of events as CSV or NDJSON. Lazy, as `events` is."""
    return _csv(events) if form == CSV else map(line, events)


def line(event: AuditEvent) -> str:
    """Return an event as one line of JSON in ASCII, with its line end."""
    return json.dumps(members(event), separators=(",", ":")) + "\n"


def escaped(text: str) -> str:
    """Return `text` on one line, with control characters as escapes."""
    return UNPRINTABLE.sub(_escape, text)


def cell(value: object) -> str:
    """Return a value for a spreadsheet: on one line, and never a formula."""
    if value is None:
        return ""
    text = escaped(value if isinstance(value, str) else json.dumps(value))
    return f"'{text}" if text.lstrip()[:1] in _FORMULA and text.strip() else text


def _csv(events: Iterable[AuditEvent]) -> Iterator[str]:
    # RFC 4180 section 2: CRLF, a header line, quotes where needed
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    writer.writerow(_COLUMNS)
    for event in events:
        yield _taken(buffer)
        writer.writerow(map(cell, members(event).values()))
    yield _taken(buffer)


def _taken(buffer: io.StringIO) -> str:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    kind, width = next((kind, width) for kind, width in _ESCAPES if code < 16**width)
    return f"\\{kind}{code:0{width}x}"


def _public_id(event: AuditEvent, name: str) -> str | None:
    if hasattr(event, f"about_{name}"):
        found = getattr(event, f"about_{name}")
    else:
        related: Model | None = getattr(event, name)
        found = getattr(related, "public_id", None)
    return None if found is None else str(found)
