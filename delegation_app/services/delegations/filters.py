"""The filter of delegations: one set of conditions for the admin, the API and the command line.

A filter is a value: it can be signed into a token, passed on a command line and compared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final, Self

from django.db.models import Exists, OuterRef, Q, QuerySet, TextField, Value
from django.db.models.functions import Cast, Concat
from django.utils.dateparse import parse_datetime

from delegation_app import clock
from delegation_app.models import Delegation
from delegation_app.protocol.requests.public_id import as_uuid
from delegation_app.services import name_suggestions
from delegation_app.services.delegations.state import in_state
from delegation_app.services.name_search import (
    clients_called,
    people_called,
    people_named,
    person_gone,
)
from delegation_app.services.name_suggestions import VisibilityScope

_NONE: Final = Q(pk__in=())
_TIMES: Final = frozenset({"issued_after", "issued_before", "used_after", "not_used_after"})


@dataclass(frozen=True, slots=True)
class DelegationFilter:
    """Conditions, all of which must hold. An omitted condition filters nothing.

    Attributes:
        term: a part of the name of a user or client, the beginning of a subject or client id, or a
            delegation id.
        subject: the principal, as tokens name it.
        user: the user name of the principal, deleted users included.
        client_id: the delegate.
        parent, root: the public ids of the parent and of the root.
        ids: public ids.
        state: a `Delegation.State`, or `state.NOT_ENDED`.
        grant_type: as stored.
        scope: the name of a scope that the delegation has now.
        audience: the identifier of a resource server that it reaches.
        issued_after, issued_before: the start (inclusive) and end (exclusive) of the time of issue.
        last_key: the key of the newest matching row; later rows do not match.
        used_after: used at or after this time.
        not_used_after: neither used nor issued since this time.
        never_used: whether it was never used.
        roots: True for roots, False for child delegations.
        has_children: whether it has child delegations.
        unrevoked: whether revoked delegations are excluded.
        nothing: whether no delegation matches. An invalid condition must not match all: all
            matches can be revoked.
    """

    term: str = ""
    subject: str = ""
    user: str = ""
    client_id: str = ""
    parent: str = ""
    root: str = ""
    ids: tuple[str, ...] = ()
    state: str = ""
    grant_type: str = ""
    scope: str = ""
    audience: str = ""
    issued_after: datetime | None = None
    issued_before: datetime | None = None
    last_key: int | None = None
    used_after: datetime | None = None
    not_used_after: datetime | None = None
    never_used: bool = False
    roots: bool | None = None
    has_children: bool | None = None
    unrevoked: bool = False
    nothing: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return the conditions that are set, as JSON types."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        return {
            name: value.isoformat() if isinstance(value, datetime) else value
            for name, value in found.items()
            if value != getattr(_NOTHING, name)
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """Return the filter from the result of `as_json`.

        Raises:
            TypeError, ValueError: any other mapping.
        """
        values: dict[str, Any] = {**stored, "ids": tuple(stored.get("ids", ()))}
        for name in _TIMES & values.keys():
            values[name] = parse_datetime(values[name])
        return cls(**values)

    def unknown_names(self, visible: VisibilityScope) -> list[str]:
        """Return a sentence for each name that does not exist; see `name_suggestions`."""
        return name_suggestions.unknown_names(
            visible,
            parties=(self.subject, self.user),
            client_id=self.client_id,
            term=self.term,
            scope=self.scope,
        )

    def indexed(self) -> Q | None:
        """Return the conditions that an index answers, or None. Looks up names."""
        if self.nothing:
            return _NONE
        readers: dict[str, Callable[[Any], Q]] = {
            "term": _called,
            "subject": lambda subject: Q(subject=subject),
            "user": _of_user,
            "client_id": lambda client_id: Q(delegate_client_id=client_id),
            "ids": lambda ids: Q(public_id__in=ids),
            "parent": lambda key: _by_public_id("parent__public_id", key),
            "root": lambda key: _by_public_id("root__public_id", key),
        }
        set_here = {name: value for name in readers if (value := getattr(self, name))}
        return Q(*(readers[name](value) for name, value in set_here.items())) if set_here else None

    def issued_range(self) -> Q:
        """Return the condition on the time of issue, by which lists are ordered."""
        found = Q()
        if self.issued_after is not None:
            found &= Q(issued_at__gte=self.issued_after)
        if self.issued_before is not None:
            found &= Q(issued_at__lt=self.issued_before)
        if self.last_key is not None:
            found &= Q(pk__lte=self.last_key)
        return found

    @property
    def has_unindexed(self) -> bool:
        """Whether there are conditions that no index answers."""
        words = (self.state, self.scope, self.audience, self.has_children is not None)
        return any(words) or bool(self._uses()) or bool(self._columns())

    def unindexed(self, rows: QuerySet[Delegation], now: datetime) -> QuerySet[Delegation]:
        """Return the rows that meet the conditions that no index answers."""
        rows = rows.filter(self._uses(), **self._columns())
        for column, word in (("scopes", self.scope), ("audience", self.audience)):
            if word:
                rows = _with_word(rows, column, word)
        if self.has_children is not None:
            made = Exists(Delegation.objects.filter(parent=OuterRef("pk")))
            rows = rows.filter(made if self.has_children else ~made)
        return in_state(rows, self.state, now)

    def _columns(self) -> dict[str, Any]:
        conditions = {
            "grant_type": self.grant_type or None,
            "revoked_at__isnull": self.unrevoked or None,
            "parent__isnull": self.roots,
        }
        return {name: value for name, value in conditions.items() if value is not None}

    def _uses(self) -> Q:
        found = Q()
        if self.never_used:
            found &= Q(last_used_at=None)
        if self.used_after is not None:
            found &= Q(last_used_at__gte=self.used_after)
        if self.not_used_after is not None:
            unused = Q(last_used_at=None, issued_at__lt=self.not_used_after)
            found &= unused | Q(last_used_at__lt=self.not_used_after)
        return found

    def rows(self, now: datetime | None = None) -> QuerySet[Delegation]:
        """Return the matching delegations, unordered.

        Args:
            now: the time at which the state is judged; the present by default.
        """
        return self.among(Delegation.objects.order_by(), now or clock.now())

    def among(self, rows: QuerySet[Delegation], now: datetime) -> QuerySet[Delegation]:
        """Return the matching delegations among `rows`; see `rows`."""
        rows = rows.filter(self.issued_range())
        if (indexed := self.indexed()) is not None:
            rows = rows.filter(indexed)
        return self.unindexed(rows, now)


_NOTHING: Final = DelegationFilter()


def _of_user(name: str) -> Q:
    keys = people_named(name)
    return Q(principal_user__in=keys) if keys else Q(principal_user=None, subject=person_gone(name))


def _by_public_id(path: str, key: str) -> Q:
    public_id = as_uuid(key, as_typed=True)
    return _NONE if public_id is None else Q(**{path: public_id})


def _called(term: str) -> Q:
    if (public_id := as_uuid(term, as_typed=True)) is not None:
        return Q(public_id=public_id)
    called = clients_called(term)
    return (
        Q(subject__startswith=term)
        | Q(delegate_client_id__startswith=term)
        | Q(principal_user__in=people_called(term))
        | Q(principal_client__in=called)
        | Q(delegate__in=called)
    )


def _with_word(rows: QuerySet[Delegation], column: str, word: str) -> QuerySet[Delegation]:
    # Spaces delimit names, so that a part of a name does not match
    space = Value(" ", TextField())
    text = Concat(space, Cast(column, TextField()), space)
    name = f"{column}_text"
    return rows.alias(**{name: text}).filter(**{f"{name}__contains": f" {word} "})
