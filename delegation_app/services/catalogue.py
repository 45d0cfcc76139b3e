"""Delegations as operators look for them: filtered, newest first, a page at a time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from django.contrib.auth import get_user_model
from django.db.models import Exists, OuterRef, Q, QuerySet, TextField, Value
from django.db.models.functions import Cast, Coalesce, Concat

from delegation_app.models import Delegation
from delegation_app.protocol.errors import OAuthError
from delegation_app.protocol.public_id import as_uuid
from delegation_app.services.states import State, in_state, with_state

# Beyond that nobody needs the exact number, and counting it costs
MOST_COUNTED: Final = 10_000


class NoSuchDelegation(OAuthError):
    """There is none with this id."""

    code = "not_found"
    status = 404


class Position(NamedTuple):
    """Where a page ended: behind this row the next one begins."""

    issued_at: datetime
    key: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which delegations; what is None or empty leaves all.

    Attributes:
        state: how they stand.
        subject: whose authority, as tokens name it.
        user: the same by the name under which a person signs in.
        client: who holds them, by client id.
        grant_type: how they came about.
        audience: the identifier of a resource server that they reach.
        issued_after, issued_before: from then on, and before then.
        last_used_before: not used since; those never used count from their issue.
        parent_id, root_id: made from this one directly; of the tree of this one.
        has_children: whether any was made from them.
    """

    state: State | None = None
    subject: str = ""
    user: str = ""
    client: str = ""
    grant_type: str = ""
    audience: str = ""
    issued_after: datetime | None = None
    issued_before: datetime | None = None
    last_used_before: datetime | None = None
    parent_id: UUID | None = None
    root_id: UUID | None = None
    has_children: bool | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Delegations, newest first.

    Attributes:
        rows: with all that a list shows, read in one statement.
        next: where the next page begins; None at the end.
    """

    rows: list[Any]
    next: Position | None


@dataclass(frozen=True, slots=True)
class Count:
    """How many, as far as it was counted.

    Attributes:
        count: at most `MOST_COUNTED`.
        is_more: whether there are more than that.
    """

    count: int
    is_more: bool


def listed(wanted: Wanted, size: int, after: Position | None = None) -> Page:
    """Return a page of what an operator looks for. Reads only: one statement.

    Args:
        wanted: which.
        size: how many at most.
        after: the `next` of the page before.
    """
    rows = _told(filtered(wanted))
    if after is not None:
        at, key = after
        # The first condition is what the index is entered by
        rows = rows.filter(Q(issued_at__lt=at) | Q(pk__lt=key), issued_at__lte=at)
    found = list(rows.order_by("-issued_at", "-pk")[: size + 1])
    last = found[size - 1] if len(found) > size else None
    return Page(found[:size], None if last is None else Position(last.issued_at, last.pk))


def find(key: str) -> Any:
    """Return one delegation as `listed` does, with its consent.

    Args:
        key: its public id as text, from an address.

    Raises:
        NoSuchDelegation: malformed or unknown.
    """
    public_id = as_uuid(key)
    rows = _told(Delegation.objects.select_related("consent"))
    found = None if public_id is None else rows.filter(public_id=public_id).first()
    if found is None:
        raise NoSuchDelegation("There is no such delegation.")
    return found


def children(row: Delegation) -> Count:
    """Return how many delegations were made from one directly, bounded. One statement."""
    return counted(Delegation.objects.filter(parent=row.pk))


def counted(rows: QuerySet[Any]) -> Count:
    """Count rows no further than `MOST_COUNTED`. One statement."""
    found = rows.order_by()[: MOST_COUNTED + 1].count()
    return Count(min(found, MOST_COUNTED), found > MOST_COUNTED)


def filtered(wanted: Wanted) -> QuerySet[Delegation]:
    """Return the delegations that an operator looks for, in no order."""
    rows = in_state(Delegation.objects.order_by(), wanted.state or "")
    rows = rows.filter(**_equal(wanted))
    if wanted.user:
        users = get_user_model()._default_manager.filter(
            **{get_user_model().USERNAME_FIELD: wanted.user}
        )
        rows = rows.filter(principal_user__in=users.values("pk"))
    if wanted.audience:
        # Stored as one text; a database can't ask that for a word in it
        told = Cast("audience", TextField())
        text = Concat(Value(" "), told, Value(" "), output_field=TextField())
        rows = rows.annotate(reach=text).filter(reach__contains=f" {wanted.audience} ")
    if wanted.last_used_before is not None:
        rows = rows.annotate(used=Coalesce("last_used_at", "issued_at"))
        rows = rows.filter(used__lt=wanted.last_used_before)
    if wanted.has_children is not None:
        made = _has_children()
        rows = rows.filter(made if wanted.has_children else ~made)
    return rows


def _equal(wanted: Wanted) -> dict[str, Any]:
    # The names are ours, never those of a request
    conditions = {
        "subject": wanted.subject,
        "delegate_client_id": wanted.client,
        "grant_type": wanted.grant_type,
        "issued_at__gte": wanted.issued_after,
        "issued_at__lt": wanted.issued_before,
        "parent__public_id": wanted.parent_id,
        "root": wanted.root_id,
    }
    return {name: value for name, value in conditions.items() if value not in {None, ""}}


def _told(rows: QuerySet[Delegation]) -> QuerySet[Any]:
    told: QuerySet[Any] = with_state(rows).annotate(has_children=_has_children())
    return told.select_related("principal_user", "delegate")


def _has_children() -> Exists:
    return Exists(Delegation.objects.filter(parent=OuterRef("pk")))
