"""System checks: each misconfiguration has a number."""

from __future__ import annotations

from delegation_app.checks import databases, rows, values

__all__ = ["databases", "rows", "values"]
