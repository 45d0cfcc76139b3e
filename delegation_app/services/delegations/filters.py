"""Which delegations are meant: one set of filters for pages, for the command line and for scripts.

What is chosen is a value: it can be signed into a token, written into a command line, compared.
"""

from __future__ import annotations

from collections.abc import Mapping
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
    """Filters, all of which must hold. What is left out filters nothing.

    Attributes:
        term: a person or a client by a part of its name, the beginning of a subject or of a client
            id, or a delegation id.
        subject: whose authority it is, as tokens name it.
        user: the same by the name under which a person signs in, or did until it was deleted.
        client_id: of the delegate.
        parent, root: the public id of what it was made from, and of the top of its tree.
        state: a `Delegation.State`, or `state.NOT_ENDED`.
        grant_type: as stored.
        scope: the name of a scope that is still in it.
        audience: the identifier of a resource server that it reaches.
        issued_after, issued_before: issued from then on, and before then.
        last_key: the key of the last one that is meant: what was stored later is not.
        used_after: used then or later.
        not_used_after: neither used nor issued since then.
        never_used: whether it was never used.
        roots: True for what was granted directly, False for what was handed on.
        has_children: whether something was made from it.
        unrevoked: whether what was revoked is left out.
        nothing: whether nothing at all is chosen: what could not be understood must not be taken
            for everything, since all that is chosen can be revoked.
    """

    term: str = ""
    subject: str = ""
    user: str = ""
    client_id: str = ""
    parent: str = ""
    root: str = ""
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
        """Return what is set, as JSON types."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        return {
            name: value.isoformat() if isinstance(value, datetime) else value
            for name, value in found.items()
            if value != getattr(_NOTHING, name)
        }

    @classmethod
    def of_json(cls, stored: Mapping[str, Any]) -> Self:
        """Return what `as_json` gave.

        Raises:
            TypeError, ValueError: it did not come from there.
        """
        values: dict[str, Any] = dict(stored)
        for name in _TIMES & values.keys():
            values[name] = parse_datetime(values[name])
        return cls(**values)

    def unknown(self, visible: VisibilityScope) -> list[str]:
        """Return a sentence for each name that does not exist. Reads only.

        Args:
            visible: whose names the reader may see.
        """
        found = [
            name_suggestions.of_party(term, visible) for term in (self.subject, self.user) if term
        ]
        if self.client_id:
            found.append(name_suggestions.of_client(self.client_id, visible))
        # Any part of a name is looked for, so only a slip is worth a word
        if self.term:
            found.append(name_suggestions.of_anything(self.term, visible))
        if self.scope:
            found.append(name_suggestions.of_scope(self.scope))
        return [sentence for sentence in dict.fromkeys(found) if sentence]

    def named(self) -> Q | None:
        """Return the conditions that an index answers, or None. Names are looked up here."""
        if self.nothing:
            return _NONE
        found = []
        if self.term:
            found.append(_called(self.term))
        if self.subject:
            found.append(Q(subject=self.subject))
        if self.user:
            keys = people_named(self.user)
            gone = Q(principal_user=None, subject=person_gone(self.user))
            found.append(Q(principal_user__in=keys) if keys else gone)
        if self.client_id:
            found.append(Q(delegate_client_id=self.client_id))
        for path, value in (("parent__public_id", self.parent), ("root__public_id", self.root)):
            if value:
                public_id = as_uuid(value, as_typed=True)
                found.append(_NONE if public_id is None else Q(**{path: public_id}))
        return Q(*found) if found else None

    def span(self) -> Q:
        """Return the condition on the order of issue, which lists follow."""
        found = Q()
        if self.issued_after is not None:
            found &= Q(issued_at__gte=self.issued_after)
        if self.issued_before is not None:
            found &= Q(issued_at__lt=self.issued_before)
        if self.last_key is not None:
            found &= Q(pk__lte=self.last_key)
        return found

    @property
    def is_sifted(self) -> bool:
        """Whether there are conditions that no index answers."""
        words = (self.state, self.scope, self.audience, self.has_children is not None)
        return any(words) or bool(self._uses()) or bool(self._columns())

    def sift(self, rows: QuerySet[Delegation], now: datetime) -> QuerySet[Delegation]:
        """Keep the rows that meet the conditions that no index answers."""
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
        """Return the delegations, in no order.

        Args:
            now: the time to judge the state by; the present if left out.
        """
        return self.among(Delegation.objects.order_by(), now or clock.now())

    def among(self, rows: QuerySet[Delegation], now: datetime) -> QuerySet[Delegation]:
        """Return those of `rows` that are chosen; see `rows`."""
        rows = rows.filter(self.span())
        if (named := self.named()) is not None:
            rows = rows.filter(named)
        return self.sift(rows, now)


_NOTHING: Final = DelegationFilter()


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
    # As text between spaces: a part of a name is another name
    space = Value(" ", TextField())
    text = Concat(space, Cast(column, TextField()), space)
    name = f"{column}_text"
    return rows.alias(**{name: text}).filter(**{f"{name}__contains": f" {word} "})
