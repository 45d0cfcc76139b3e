"""What the checks report."""

from __future__ import annotations

from django.core.checks import Error
from django.core.checks import Warning as Caution


def error(message: str, hint: str, number: str) -> Error:
    """Return an error with a number such as E001."""
    return Error(message, hint, id=f"delegation_app.{number}")


def caution(message: str, hint: str, number: str) -> Caution:
    """Return a warning with a number such as W001."""
    return Caution(message, hint, id=f"delegation_app.{number}")
