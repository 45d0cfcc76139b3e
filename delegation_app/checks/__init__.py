"""System checks: each misconfiguration has a number."""

from __future__ import annotations

from delegation_app.checks import (
    clients,
    clocks,
    database_rows,
    databases,
    mounting,
    outbox,
    pages,
    rate_limits,
    second_operator,
    security,
    timeouts,
    values,
)

__all__ = [
    "clients",
    "clocks",
    "database_rows",
    "databases",
    "mounting",
    "outbox",
    "pages",
    "rate_limits",
    "second_operator",
    "security",
    "timeouts",
    "values",
]
