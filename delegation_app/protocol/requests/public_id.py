"""The public id of a delegation."""

from __future__ import annotations

from uuid import UUID


def as_uuid(text: str, *, as_typed: bool = False) -> UUID | None:
    """Return the UUID in a URL or a parameter, or None.

    Args:
        text: in canonical form: no braces, no `urn:`, no capitals.
        as_typed: accept those too, as users paste them into a search.
    """
    try:
        found = UUID(text)
    except ValueError:
        return None
    return found if as_typed or str(found) == text else None
