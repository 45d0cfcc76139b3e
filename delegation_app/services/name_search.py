"""From what somebody types to whom it names."""

from __future__ import annotations

from typing import Any, Final

from django.contrib.auth import get_user_model
from django.core.exceptions import FieldDoesNotExist
from django.db.models import Q

from delegation_app import primary, toolkit
from delegation_app.protocol.claims import client_subject, user_subject

# More namesakes than that are no help to anybody, and make a slow query.
_MOST: Final = 200
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
    keys = people_named(term)
    return user_subject(keys[0]) if keys else None


def people_named(name: str) -> list[Any]:
    """Return the keys of the users who sign in under a name: one, or none."""
    users = get_user_model()
    found = primary.rows(users).filter(**{users.USERNAME_FIELD: name})
    return list(found.values_list("pk", flat=True)[:1])


def people_called(term: str) -> list[Any]:
    """Return the keys of the users whose name or e-mail address contains `term`."""
    model = get_user_model()
    condition = Q(**{f"{model.USERNAME_FIELD}__icontains": term})
    try:
        field = model._meta.get_field(model.get_email_field_name())
    except FieldDoesNotExist:
        pass
    else:
        condition |= Q(**{f"{field.name}__icontains": term})
    return list(primary.rows(model).filter(condition).values_list("pk", flat=True)[:_MOST])


def clients_called(term: str) -> list[Any]:
    """Return the keys of the applications whose name contains `term`."""
    named = primary.rows(toolkit.application_model()).filter(name__icontains=term)
    return list(named.values_list("pk", flat=True)[:_MOST])
