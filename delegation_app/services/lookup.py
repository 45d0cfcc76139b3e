"""Finding people and clients by name."""

from __future__ import annotations

import uuid
from typing import Any, Final

from django.contrib.auth import get_user_model
from django.core.exceptions import FieldDoesNotExist
from django.db.models import Q

from delegation_app import toolkit

# More namesakes than that are no help to anybody, and make a slow query.
_MOST: Final = 200


def as_uuid(term: str) -> uuid.UUID | None:
    """Return a search term as a public id, or None."""
    try:
        return uuid.UUID(term)
    except ValueError:
        return None


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
    return list(model._default_manager.filter(condition).values_list("pk", flat=True)[:_MOST])


def clients_called(term: str) -> list[Any]:
    """Return the keys of the applications whose name contains `term`."""
    named = toolkit.application_model()._default_manager.filter(name__icontains=term)
    return list(named.values_list("pk", flat=True)[:_MOST])
