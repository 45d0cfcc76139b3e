"""System checks: each misconfiguration has a number."""

from __future__ import annotations

from delegation_app.checks import callers, clients, databases, pages, rows, second_operator, values

__all__ = ["callers", "clients", "databases", "pages", "rows", "second_operator", "values"]
