"""System checks: each misconfiguration has a number, which docs/checks.md explains."""

from __future__ import annotations

from delegation_app.checks import (
    callers,
    clients,
    clocks,
    databases,
    deliveries,
    mounting,
    pages,
    rows,
    second_operator,
    security,
    values,
    waiting,
)

__all__ = [
    "callers",
    "clients",
    "clocks",
    "databases",
    "deliveries",
    "mounting",
    "pages",
    "rows",
    "second_operator",
    "security",
    "values",
    "waiting",
]
