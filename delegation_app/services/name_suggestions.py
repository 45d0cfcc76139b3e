"""Suggestions for unknown names, so that a typing error does not look like an empty result.

Each look-up is a prefix of an indexed column, in a few spellings, and reads a bounded number of
rows. The names of clients have no index; only those of the newest clients are compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from enum import Enum
from typing import Any, Final

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import connections
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils.translation import gettext as _

from delegation_app import toolkit
from delegation_app.models import AuditEvent, Delegation, ResourceServer
from delegation_app.protocol.claims import client_subject, user_subject
from delegation_app.protocol.requests import reading
from delegation_app.services import name_search

_MAX_SUGGESTIONS: Final = 3
_MAX_CANDIDATES: Final = 100
_MAX_CLIENTS: Final = 10_000
# Longer ones are pasted, not mistyped
_MAX_LENGTH: Final = 60
_STEMS: Final = (2, 1)
_ALIKE: Final = 0.65
# Sorts after every other character
_LAST: Final = "\U0010ffff"


class SuggestionScope(Enum):
    """The names that may be suggested."""

    NONE = "none"
    ON_RECORD = "on_record"
    """Of users and clients that have a delegation."""

    ALL = "all"


@dataclass(frozen=True, slots=True)
class VisibilityScope:
    """The names that the reader may see."""

    people: SuggestionScope = SuggestionScope.ALL
    clients: SuggestionScope = SuggestionScope.ALL


def unknown_names(
    visible: VisibilityScope,
    *,
    parties: Iterable[str] = (),
    client_id: str = "",
    term: str = "",
    scope: str = "",
) -> list[str]:
    """Return a sentence for each name that does not exist. Reads only.

    Args:
        visible: the names that the reader may see.
        parties: user names, subjects or client ids.
        client_id: a client id.
        term: a name, or the id of any record: only a probable typing error is reported.
        scope: the name of a scope.
    """
    found = [of_party(party, visible) for party in parties if party]
    found.append(of_client(client_id, visible) if client_id else "")
    found.append(of_anything(term, visible) if term else "")
    found.append(of_scope(scope) if scope else "")
    return [sentence for sentence in dict.fromkeys(found) if sentence]


def of_party(term: str, visible: VisibilityScope) -> str:
    """Return a sentence if a term names neither a user nor a client; empty if it names one.

    Args:
        term: a user name, a subject or a client id, as typed.
        visible: the names that the reader may see.
    """
    if _is_party(term):
        return ""
    if term.startswith((user_subject(""), client_subject(""))):
        return _("There is no user or client with the subject %(term)s.") % {"term": term}
    return f"{_no_party(term)} {like_party(term, visible)}".strip()


def like_party(term: str, visible: VisibilityScope) -> str:
    """Return a suggestion of similar names of users or clients; empty if there is none."""
    return _meant(_people(term, visible.people) or _clients(term, visible.clients))


def of_anything(term: str, visible: VisibilityScope) -> str:
    """Return a sentence if a term may be a mistyped name; empty if it names something.

    Args:
        term: a name, or the id of any record.
        visible: the names that the reader may see.
    """
    if not (meant := like_party(term, visible)):
        return ""
    clients = toolkit.application_model()._default_manager
    if name_search.people_named(term) or clients.filter(client_id=term).exists():
        return ""
    return f"{_no_party(term)} {meant}"


def of_client(client_id: str, visible: VisibilityScope) -> str:
    """Return a sentence if no client has the id; empty if one has."""
    if _is_client(client_id):
        return ""
    text = _("There is no client with the id %(term)s.") % {"term": client_id}
    return f"{text} {_meant(_clients(client_id, visible.clients))}".strip()


def of_scope(name: str) -> str:
    """Return a sentence if no resource server knows a scope; empty if one does."""
    known = set(toolkit.all_scopes())
    for scopes in ResourceServer.objects.values_list("scopes", flat=True):
        known.update(scopes)
    if name in known:
        return ""
    text = _("No resource server knows the scope %(term)s now.") % {"term": name}
    return f"{text} {_meant(_alike(name, known))}".strip()


def _no_party(term: str) -> str:
    return _("There is no user or client with the name or id %(term)s.") % {"term": term}


def _meant(close: Iterable[str]) -> str:
    found = list(dict.fromkeys(close))[:_MAX_SUGGESTIONS]
    return _("Did you mean %(names)s?") % {"names": _(" or ").join(found)} if found else ""


def _is_party(term: str) -> bool:
    subjects = name_search.subjects(term)
    if term not in subjects and len(subjects) > 1:
        # A user name was found
        return True
    prefix = client_subject("")
    client_ids = [each.removeprefix(prefix) for each in subjects if each.startswith(prefix)]
    return (
        any(map(_is_client, client_ids))
        or any(map(_is_user, subjects))
        or Delegation.objects.filter(subject__in=subjects).exists()
        # Such as `system`
        or AuditEvent.objects.filter(actor__in=subjects).exists()
        or AuditEvent.objects.filter(subject__in=subjects).exists()
    )


def _is_client(client_id: str) -> bool:
    rows = toolkit.application_model()._default_manager.filter(client_id=client_id)
    # A record outlives its client
    return rows.exists() or Delegation.objects.filter(delegate_client_id=client_id).exists()


def _is_user(subject: str) -> bool:
    prefix, users = user_subject(""), get_user_model()
    if not subject.startswith(prefix):
        return False
    try:
        key = users._meta.pk.to_python(subject.removeprefix(prefix))
    except ValidationError:
        return False
    return reading.is_storable(key) and users._default_manager.filter(pk=key).exists()


def _people(term: str, reach: SuggestionScope) -> list[str]:
    users = get_user_model()
    held = Delegation.objects.filter(principal_user=OuterRef("pk"))
    return _named(users._default_manager.all(), users.USERNAME_FIELD, term, (reach, held))


def _clients(term: str, reach: SuggestionScope) -> list[str]:
    rows = toolkit.application_model()._default_manager.all()
    held = Delegation.objects.filter(delegate_client_id=OuterRef("client_id"))
    newest = rows.order_by("-pk").values("pk")[:_MAX_CLIENTS]
    called = _seen(rows.filter(pk__in=newest, name__istartswith=term), (reach, held))
    found = list(called.values_list("client_id", flat=True)[:_MAX_SUGGESTIONS])
    return found or _named(rows, "client_id", term, (reach, held))


def _named(
    rows: QuerySet[Any],
    column: str,
    term: str,
    visible: tuple[SuggestionScope, QuerySet[Delegation]],
) -> list[str]:
    """Return the values of a column that begin with a term, or else the most similar ones."""
    if len(term) > _MAX_LENGTH:
        return []
    found = _beginning(rows, column, _spellings(term), visible)
    for length in _STEMS if not found else ():
        others = _beginning(rows, column, _spellings(term[:length]), visible)
        found = found or _alike(term, others)
    return found


def _beginning(
    rows: QuerySet[Any],
    column: str,
    starts: Iterable[str],
    visible: tuple[SuggestionScope, QuerySet[Delegation]],
) -> list[str]:
    condition = Q()
    for start in starts:
        if connections[rows.db].vendor == "sqlite":
            # Such a LIKE uses no index
            condition |= Q(**{f"{column}__gte": start, f"{column}__lt": start + _LAST})
        else:
            condition |= Q(**{f"{column}__startswith": start})
    keys = rows.filter(condition).order_by().values("pk")[:_MAX_CANDIDATES]
    seen = _seen(rows.filter(pk__in=keys), visible)
    return sorted(map(str, seen.values_list(column, flat=True)))


def _seen(
    rows: QuerySet[Any], visible: tuple[SuggestionScope, QuerySet[Delegation]]
) -> QuerySet[Any]:
    reach, held = visible
    if reach is SuggestionScope.ALL:
        return rows
    return rows.none() if reach is SuggestionScope.NONE else rows.filter(Exists(held))


def _spellings(term: str) -> Iterator[str]:
    yield from dict.fromkeys((term, term.lower(), term.upper(), term.capitalize()))


def _alike(term: str, names: Iterable[str]) -> list[str]:
    if len(term) > _MAX_LENGTH:
        return []
    by_lower = {name.lower(): name for name in names}
    close = get_close_matches(term.lower(), by_lower, n=_MAX_SUGGESTIONS, cutoff=_ALIKE)
    return [by_lower[name] for name in close]
