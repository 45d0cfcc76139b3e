"""System checks: each misconfiguration has a number."""

from __future__ import annotations

from delegation_app.checks import databases, pages, rows, values

__all__ = ["databases", "pages", "rows", "values"]
