"""System checks: each misconfiguration has a number."""

from __future__ import annotations

from delegation_app.checks import (
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
    "clients",
    "clocks",
    "databases",
    "deliveries",
    "pages",
    "rows",
    "second_operator",
    "values",
]
