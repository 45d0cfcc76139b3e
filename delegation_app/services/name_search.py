"""Names: which records a typed name may mean, and the names of clients and resource servers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from django.contrib.auth import get_user_model
from django.core.exceptions import FieldDoesNotExist
from django.db.models import Q

from delegation_app import primary, toolkit
from delegation_app.events import USER_DELETED
from delegation_app.models import AuditEvent, ResourceServer
from delegation_app.models.audit import detail_text
from delegation_app.protocol.claims import client_subject, user_subject

# More matches are of no help, and make a slow query
_MAX_MATCHES: Final = 200
_SYSTEM: Final = "system"
_PREFIXES: Final = (user_subject(""), client_subject(""))


def subjects(term: str) -> list[str]:
    """Return the subjects that a term may mean.

    A subject (`user:<id>`, `client:<client id>`, `system`) means itself, even if its row was
    deleted. Anything else is a user name, also of a deleted user, or a client id.

    Args:
        term: as typed; a full user name, since a part of one has no index.
    """
    known = person(term)
    if known == term:
        return [term]
    return [*([known] if known else []), client_subject(term)]


def person(term: str) -> str | None:
    """Return a subject unchanged, or the subject of a user by name; None if there is none.

    A name without a current user means the last deleted user who had it.
    """
    if term == _SYSTEM or term.startswith(_PREFIXES):
        return term
    keys = people_named(term)
    return user_subject(keys[0]) if keys else person_gone(term)


def people_named(name: str) -> list[Any]:
    """Return the key of the user with a user name, in a list; an empty list if there is none."""
    users = get_user_model()
    found = primary.rows(users).filter(**{users.USERNAME_FIELD: name})
    return list(found.values_list("pk", flat=True)[:1])


def person_gone(name: str) -> str | None:
    """Return the subject of the last deleted user who had a name; None if there is none."""
    events = AuditEvent.objects.filter(event=USER_DELETED.name)
    found = events.alias(user_name=detail_text("user_name")).filter(user_name=name)
    return found.order_by("-occurred_at", "-pk").values_list("subject", flat=True).first()


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
    return list(primary.rows(model).filter(condition).values_list("pk", flat=True)[:_MAX_MATCHES])


def clients_called(term: str) -> list[Any]:
    """Return the keys of the applications whose name contains `term`."""
    named = primary.rows(toolkit.application_model()).filter(name__icontains=term)
    return list(named.values_list("pk", flat=True)[:_MAX_MATCHES])


def client_names(client_ids: Iterable[str]) -> dict[str, str]:
    """Return the names of clients by client id, in one statement."""
    rows = primary.rows(toolkit.application_model()).filter(client_id__in=set(client_ids))
    return {row.client_id: str(row) for row in rows}


def service_names(identifiers: Iterable[str]) -> dict[str, str]:
    """Return the names of resource servers by identifier, in one statement."""
    rows = ResourceServer.objects.filter(identifier__in=set(identifiers))
    return dict(rows.values_list("identifier", "name"))
