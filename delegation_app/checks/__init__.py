"""System checks: each misconfiguration has a number, which docs/checks.md explains."""

from __future__ import annotations

from delegation_app.checks import (
    clients,
    databases,
    mounting,
    pages,
    rows,
    second_operator,
    security,
    values,
    waiting,
)

__all__ = [
    "clients",
    "databases",
    "mounting",
    "pages",
    "rows",
    "second_operator",
    "security",
    "values",
    "waiting",
]
