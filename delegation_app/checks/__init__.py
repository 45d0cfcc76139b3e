"""System checks: each misconfiguration has a number."""

from __future__ import annotations

from delegation_app.checks import (
    callers,
    clients,
    clocks,
    databases,
    deliveries,
    pages,
    rows,
    second_operator,
    values,
)

__all__ = [
    "callers",
    "clients",
    "clocks",
    "databases",
    "deliveries",
    "pages",
    "rows",
    "second_operator",
    "values",
]
