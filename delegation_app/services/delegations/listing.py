"""Pages of delegations in the order of issue, each from a bounded part of the table.

Most filters use columns without an index: an index on the state or on the last use would make each
revocation and each use write every index of the row. So a part of the table is read in the order of
`delegation_newest`, and a page that stays short has a cursor for where it stopped. Where an index
answers a filter with few rows, all of these are read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db.models import Exists, OuterRef, Q, QuerySet

from delegation_app import clock
from delegation_app.models import Delegation
from delegation_app.protocol.errors import OAuthError
from delegation_app.protocol.requests.public_id import as_uuid
from delegation_app.services import limits
from delegation_app.services.delegations.filters import DelegationFilter
from delegation_app.services.delegations.state import with_state
from delegation_app.services.paging import Cursor, Page, RowCount

_ORDER: Final = "issued_at"


@dataclass(frozen=True, slots=True)
class ListingPage:
    """The cursors of some delegations.

    Attributes:
        found: the cursors, in reading order.
        next_cursor: where the next page starts; None at the end.
        is_full: whether the page has its maximum; otherwise it stopped at its bound.
    """

    found: Sequence[Cursor]
    next_cursor: Cursor | None
    is_full: bool

    @property
    def count(self) -> RowCount:
        """The number of delegations, as far as this page has read."""
        return RowCount(len(self.found), is_all=self.next_cursor is None)


class NoSuchDelegation(OAuthError):
    """Unknown delegation id."""

    code = "not_found"
    status = 404


def fetch(
    chosen: DelegationFilter,
    *,
    most: int,
    start: Cursor | None = None,
    newest_first: bool = True,
    now: datetime | None = None,
) -> ListingPage:
    """Return the next delegations of a filter. At most 5 statements.

    Args:
        chosen: the filter.
        most: the maximum of delegations.
        start: where the page starts; None for the end of the order.
        newest_first: the direction.
        now: the time at which the state is judged; the present by default.
    """
    order = (f"-{_ORDER}", "-pk") if newest_first else (_ORDER, "pk")
    rows = Delegation.objects.filter(chosen.issued_range()).order_by(*order)
    if start is not None:
        rows = rows.filter(start.condition(_ORDER, newer=not newest_first))
    end, indexed = None, chosen.indexed()
    if indexed is not None and (few := _few(indexed)) is not None:
        rows = rows.filter(pk__in=few)
    elif indexed is not None or chosen.has_unindexed:
        end = _end(rows, newer=not newest_first)
        if end is not None:
            rows = rows.filter(end.condition(_ORDER, newer=newest_first, inclusive=True))
        if indexed is not None:
            rows = rows.filter(indexed)
    keys = chosen.unindexed(rows, now or clock.now()).values_list(_ORDER, "pk")[: most + 1]
    found = [Cursor(*key, newer=not newest_first) for key in keys]
    if len(found) > most:
        return ListingPage(found[:most], found[most - 1], is_full=True)
    return ListingPage(found, end, is_full=False)


def fetch_full(chosen: DelegationFilter, *, most: int, **options: Any) -> ListingPage:
    """Return a full page, or all that is left, however much has to be read; see `fetch`.

    For callers that take a short page for the last one.
    """
    found: list[Cursor] = []
    # One more, so that a page that ends with a chunk is not taken for the last one
    while len(found) <= most:
        page = fetch(chosen, most=most + 1 - len(found), **options)
        found += page.found
        if page.next_cursor is None:
            break
        options["start"] = page.next_cursor
    if len(found) > most:
        return ListingPage(found[:most], found[most - 1], is_full=True)
    return ListingPage(found, None, is_full=False)


def iterate(chosen: DelegationFilter, rows: QuerySet[Delegation], batch: int) -> Iterator[Any]:
    """Yield all delegations of a filter, newest first, in constant memory.

    Args:
        chosen: the filter.
        rows: see `read`.
        batch: the number of delegations per statement.
    """
    start, now = None, clock.now()
    while True:
        found = fetch(chosen, most=batch, start=start, now=now)
        yield from read(found.found, rows)
        start = found.next_cursor
        if start is None:
            return


def read(found: Iterable[Cursor], rows: QuerySet[Delegation]) -> list[Any]:
    """Return the delegations at these cursors, in the same order. One statement.

    Args:
        found: the cursors.
        rows: delegations with the required relations. Delegations outside of it are omitted.
    """
    keys = [place.key for place in found]
    by_key = {row.pk: row for row in rows.filter(pk__in=keys)}
    return [by_key[key] for key in keys if key in by_key]


def page(chosen: DelegationFilter, size: int, cursor: Cursor | None = None) -> Page[Any]:
    """Return a page of delegations, newest first, with the columns of the list. Reads only.

    Args:
        chosen: the filter.
        size: the maximum of delegations. A page reads a bounded part of the table, so it may have
            fewer; only the last one has no `older`.
        cursor: the `older` of the previous page.
    """
    found = fetch(chosen, most=size, start=cursor)
    rows = read(found.found, _with_relations(Delegation.objects.all()))
    return Page(rows, older=found.next_cursor)


def find(key: str) -> Any:
    """Return one delegation as `page` does, with its consent.

    Args:
        key: its public id as text, from a URL.

    Raises:
        NoSuchDelegation: malformed or unknown.
    """
    public_id = as_uuid(key)
    rows = _with_relations(Delegation.objects.select_related("consent"))
    found = None if public_id is None else rows.filter(public_id=public_id).first()
    if found is None:
        raise NoSuchDelegation("There is no such delegation.")
    return found


def children(row: Delegation) -> RowCount:
    """Return the number of direct children of a delegation, bounded. One statement."""
    return RowCount.of(Delegation.objects.filter(parent=row.pk), limits.MAX_COUNT)


def _few(indexed: Q) -> QuerySet[Delegation, Any] | None:
    # The keys of all rows that the index finds; None if these are many
    rows = Delegation.objects.order_by().filter(indexed).values("pk")[: limits.MAX_INDEXED + 1]
    # A limit of its own, so that no database prefers to read the table in the order of issue
    return None if rows.count() > limits.MAX_INDEXED else rows


def _end(rows: QuerySet[Delegation], *, newer: bool) -> Cursor | None:
    most = limits.MAX_SCANNED
    last = rows.values_list(_ORDER, "pk")[most - 1 : most].first()
    return None if last is None else Cursor(*last, newer=newer)


def _with_relations(rows: QuerySet[Delegation]) -> QuerySet[Any]:
    made = Exists(Delegation.objects.filter(parent=OuterRef("pk")))
    found: QuerySet[Any] = with_state(rows).annotate(has_children=made)
    return found.select_related("principal_user", "delegate")
