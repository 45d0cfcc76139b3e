"""From what somebody types to whom it names."""

from __future__ import annotations

from typing import Final

from django.contrib.auth import get_user_model

from delegation_app.protocol.claims import client_subject, user_subject

_SYSTEM: Final = "system"
_PREFIXES: Final = (user_subject(""), client_subject(""))


def subjects(term: str) -> list[str]:
    """Return the subjects that a term may stand for.

    A subject (`user:<id>`, `client:<client id>`, `system`) stands for itself, with or without a
    row behind it: records outlive people. Anything else is a user name or a client id.

    Args:
        term: as typed; a user name in full, since a part of one has no index.
    """
    known = person(term)
    if known == term:
        return [term]
    return [*([known] if known else []), client_subject(term)]


def person(term: str) -> str | None:
    """Return the subject of somebody by user name, or of whom a subject names; None for nobody."""
    if term == _SYSTEM or term.startswith(_PREFIXES):
        return term
    users = get_user_model()
    found = users._default_manager.filter(**{users.USERNAME_FIELD: term})
    key = found.values_list("pk", flat=True).first()
    return None if key is None else user_subject(key)
