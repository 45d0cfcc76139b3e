"""The id under which the world knows a delegation."""

from __future__ import annotations

from uuid import UUID


def as_uuid(text: str, *, as_typed: bool = False) -> UUID | None:
    """Return what an address or a parameter names, or None.

    Args:
        text: one spelling only: no braces, no `urn:`, no capitals.
        as_typed: whether those will do too, as people paste them into a search.
    """
    try:
        found = UUID(text)
    except ValueError:
        return None
    return found if as_typed or str(found) == text else None
