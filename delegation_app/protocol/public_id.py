"""The id under which the world knows a delegation."""

from __future__ import annotations

from uuid import UUID


def as_uuid(text: str) -> UUID | None:
    """Return what an address or a parameter names, or None.

    Args:
        text: one spelling only: no braces, no `urn:`, no capitals.
    """
    try:
        found = UUID(text)
    except ValueError:
        return None
    return found if str(found) == text else None
