"""Looking through the delegations: the same filters for the console and the command line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db.models import QuerySet, TextField, Value
from django.db.models.functions import Cast, Concat

from delegation_app.models import Delegation
from delegation_app.services import search
from delegation_app.services.keyset import Cursor, Newest, Page
from delegation_app.services.states import STANDING, State, in_state, with_state

STATES: Final = (*State.values, STANDING)


@dataclass(frozen=True, slots=True)
class Ledger:
    """Which delegations; what is left empty keeps all.

    Attributes:
        state: one of STATES.
        principal: whose authority it is: a subject, a user name or a client id.
        client_id: who holds it.
        scope: the name of a scope that is still in it.
        issued_before: granted or handed on before that.
        grant_type: how it came about.
    """

    state: str = ""
    principal: str = ""
    client_id: str = ""
    scope: str = ""
    issued_before: datetime | None = None
    grant_type: str = ""

    @property
    def delegations(self) -> Newest[Delegation]:
        """The delegations, newest first."""
        return Newest("issued_at", list(self._branches()))

    def page(self, size: int, cursor: Cursor | None = None) -> Page[Delegation]:
        """Return a page of them, newest first."""
        return self.delegations.page(size, cursor)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is filtered but the state."""
        return Ledger(state=self.state) == self

    def _branches(self) -> Iterator[QuerySet[Delegation]]:
        conditions: dict[str, Any] = {
            "delegate_client_id": self.client_id,
            "issued_at__lt": self.issued_before,
            "grant_type": self.grant_type,
        }
        chosen = {name: value for name, value in conditions.items() if value}
        rows = with_state(in_state(Delegation.objects.filter(**chosen), self.state))
        if self.scope:
            rows = with_scope(rows, self.scope)
        rows = rows.select_related("principal_user", "principal_client", "delegate")
        if not self.principal:
            yield rows
        else:
            for subject in search.subjects(self.principal):
                yield rows.filter(subject=subject)


def with_scope(rows: QuerySet[Delegation], scope: str) -> QuerySet[Delegation]:
    """Keep those that have a scope by this name."""
    # As text between spaces: a part of a name is another scope
    space = Value(" ", TextField())
    text = Concat(space, Cast("scopes", TextField()), space)
    return rows.annotate(scope_text=text).filter(scope_text__contains=f" {scope} ")
