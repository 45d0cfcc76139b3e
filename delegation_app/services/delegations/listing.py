"""Going through delegations in the order of their issue, a bounded part of the table at a time.

Most of what is asked for stands in columns that no index has: an index on the state or on the last
use would make each revocation and each use write every index of the row. So a part of the table is
read in the order of `delegation_newest`, and where that did not fill the page, the answer says
how far it looked. What an index answers to a few rows is looked at whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Self

from django.db.models import Exists, OuterRef, Q, QuerySet

from delegation_app import clock
from delegation_app.models import Delegation
from delegation_app.protocol.errors import OAuthError
from delegation_app.protocol.requests import reading
from delegation_app.protocol.requests.public_id import as_uuid
from delegation_app.services.delegations.filters import DelegationFilter
from delegation_app.services.delegations.state import with_state
from delegation_app.services.paging import Cursor, Page

# How many rows one look may read; both are measured by `python -m benchmarks.console`
WINDOW: Final = 25_000
FEW: Final = 10_000
# Beyond that nobody needs the exact number, and counting it costs
COUNTED: Final = 10_000


@dataclass(frozen=True, slots=True)
class ListingPosition:
    """A place in the order: just at the delegation that was issued then and has this key."""

    issued_at: datetime
    pk: int

    def __str__(self) -> str:
        return f"{self.issued_at.isoformat()}~{self.pk}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return what `str` gave.

        Raises:
            ValueError: it is no position.
        """
        when, _tilde, key = text.partition("~")
        return cls(reading.moment(when), reading.key(key))


@dataclass(frozen=True, slots=True)
class ListingPage:
    """What a look found.

    Attributes:
        found: positions of the delegations, in the order of the look.
        goes_on: where to look on; None if there is nothing further.
        is_full: whether it found as many as were asked for; otherwise it looked as far as it may.
    """

    found: Sequence[ListingPosition]
    goes_on: ListingPosition | None
    is_full: bool


@dataclass(frozen=True, slots=True)
class Count:
    """How many there are, as far as that was looked at.

    Attributes:
        count: how many were found.
        is_all: whether there are no more than that.
    """

    count: int
    is_all: bool

    @property
    def has_more(self) -> bool:
        """Whether there are, or may be, more than that."""
        return not self.is_all


def fetch(
    chosen: DelegationFilter,
    *,
    most: int,
    start: ListingPosition | None = None,
    newest_first: bool = True,
    now: datetime | None = None,
) -> ListingPage:
    """Return the next delegations that are meant, at most `most` of them. At most 5 statements.

    Args:
        chosen: which.
        most: how many.
        start: look behind this one; None begins at the end of the order.
        newest_first: the direction.
        now: the time to judge the state by; the present if left out.
    """
    order = ("-issued_at", "-pk") if newest_first else ("issued_at", "pk")
    rows = Delegation.objects.filter(chosen.span()).order_by(*order)
    if start is not None:
        rows = rows.filter(_behind(start, newest_first=newest_first))
    end, named = None, chosen.named()
    if named is not None and (few := _few(named)) is not None:
        rows = rows.filter(pk__in=few)
    elif named is not None or chosen.is_sifted:
        end = _end(rows)
        if end is not None:
            rows = rows.filter(_until(end, newest_first=newest_first))
        if named is not None:
            rows = rows.filter(named)
    keys = chosen.sift(rows, now or clock.now()).values_list("issued_at", "pk")[: most + 1]
    found = [ListingPosition(*key) for key in keys]
    if len(found) > most:
        return ListingPage(found[:most], found[most - 1], is_full=True)
    return ListingPage(found, end, is_full=False)


def fetch_full(
    chosen: DelegationFilter,
    *,
    most: int,
    start: ListingPosition | None = None,
    newest_first: bool = True,
    now: datetime | None = None,
) -> ListingPage:
    """Do as `fetch`, again and again until as many are found as were asked for, or all.

    For whoever takes a short answer for the end. As long as it finds little, it reads on.
    """
    found: list[ListingPosition] = []
    # One more, so that an end of the page at the end of a look is no end of the list
    while len(found) <= most:
        stretch = fetch(
            chosen, most=most + 1 - len(found), start=start, newest_first=newest_first, now=now
        )
        found += stretch.found
        start = stretch.goes_on
        if start is None:
            break
    if len(found) > most:
        return ListingPage(found[:most], found[most - 1], is_full=True)
    return ListingPage(found, None, is_full=False)


def everything(chosen: DelegationFilter, rows: QuerySet[Delegation], batch: int) -> Iterator[Any]:
    """Yield all delegations that are meant, newest first, in constant memory.

    Args:
        chosen: which.
        rows: what is read of each; see `read`.
        batch: how many are read together.
    """
    place, now = None, clock.now()
    while True:
        stretch = fetch(chosen, most=batch, start=place, now=now)
        yield from read(stretch.found, rows)
        place = stretch.goes_on
        if place is None:
            return


def read(found: Iterable[ListingPosition], rows: QuerySet[Delegation]) -> list[Any]:
    """Return the delegations at these positions, in their order. One statement.

    Args:
        found: where.
        rows: delegations with what else is wanted of each. What is not among them is left out.
    """
    keys = [place.pk for place in found]
    by_key = {row.pk: row for row in rows.filter(pk__in=keys)}
    return [by_key[key] for key in keys if key in by_key]


def _few(named: Q) -> QuerySet[Delegation, Any] | None:
    """Return the keys of all that are named, unless these are many."""
    rows = Delegation.objects.order_by().filter(named).values("pk")[: FEW + 1]
    # A limit of its own, so that no database prefers to read the table in the order of issue
    return None if rows.count() > FEW else rows


def _end(rows: QuerySet[Delegation]) -> ListingPosition | None:
    last = rows.values_list("issued_at", "pk")[WINDOW - 1 : WINDOW].first()
    return None if last is None else ListingPosition(*last)


def _behind(place: ListingPosition, *, newest_first: bool) -> Q:
    # The first half alone is a range of the index
    side = "lt" if newest_first else "gt"
    further = {f"issued_at__{side}": place.issued_at}
    same = {f"pk__{side}": place.pk}
    return Q(**{f"issued_at__{side}e": place.issued_at}) & (Q(**further) | Q(**same))


def _until(place: ListingPosition, *, newest_first: bool) -> Q:
    side = "gt" if newest_first else "lt"
    before = {f"issued_at__{side}": place.issued_at}
    same = {f"pk__{side}e": place.pk}
    return Q(**{f"issued_at__{side}e": place.issued_at}) & (Q(**before) | Q(**same))


MOST_COUNTED: Final = COUNTED


class NoSuchDelegation(OAuthError):
    """There is none with this id."""

    code = "not_found"
    status = 404


def listed(chosen: DelegationFilter, size: int, after: str = "") -> Page[Any]:
    """Return a page of delegations, newest first, with all that a list shows. Reads only.

    Args:
        chosen: which.
        size: how many at most. One page reads a bounded part of the table, so it may have fewer;
            it is the last one if it has no `older`.
        after: the `older` of the page before.

    Raises:
        InvalidCursor: `after` is none.
    """
    start = None
    if after:
        cursor = Cursor.parse(after)
        start = ListingPosition(cursor.when, cursor.key)
    stretch = fetch(chosen, most=size, start=start)
    end, rows = stretch.goes_on, read(stretch.found, _told(Delegation.objects.all()))
    return Page(rows, older="" if end is None else str(Cursor(end.issued_at, end.pk)))


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
    found = Delegation.objects.filter(parent=row.pk).order_by()[: MOST_COUNTED + 1].count()
    return Count(min(found, MOST_COUNTED), is_all=found <= MOST_COUNTED)


def _told(rows: QuerySet[Delegation]) -> QuerySet[Any]:
    made = Exists(Delegation.objects.filter(parent=OuterRef("pk")))
    told: QuerySet[Any] = with_state(rows).annotate(has_children=made)
    return told.select_related("principal_user", "delegate")
