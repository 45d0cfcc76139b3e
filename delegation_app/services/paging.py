"""Keyset pagination without COUNT(*): each page costs as much as the first.

A cursor is a time and a key, so no row is skipped or repeated while rows are added.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from heapq import merge
from itertools import islice
from typing import Any, Final, Generic, TypeVar

from django.db.models import Model, Q, QuerySet

from delegation_app.protocol.errors import InvalidRequest
from delegation_app.protocol.requests import reading
from delegation_app.services import limits
from delegation_app.services.signed_text import sign, verify

T = TypeVar("T")
M = TypeVar("M", bound=Model)

_CURSOR: Final = re.compile(r"([on])([0-9]{1,17})-([0-9]{1,18})", re.ASCII)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class InvalidCursor(InvalidRequest):
    """A text that is no cursor of this list with these filters."""

    def __init__(self) -> None:
        super().__init__("Invalid cursor.")


@dataclass(frozen=True, slots=True)
class Cursor:
    """A position in a list, and a direction.

    Attributes:
        when, key: the row beside which the page begins; it may have been deleted.
        newer: whether the page has the newer rows, or the older ones.
    """

    when: datetime
    key: int
    newer: bool = False

    def __str__(self) -> str:
        return f"{'n' if self.newer else 'o'}{(self.when - _EPOCH) // _MICROSECOND}-{self.key}"

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """Return the cursor from the result of `str`.

        Raises:
            InvalidCursor: any other text.
        """
        found = _CURSOR.fullmatch(text)
        if found is None:
            raise InvalidCursor
        direction, when, key = found.groups()
        moment = _EPOCH + int(when) * _MICROSECOND
        return cls(moment, reading.key(key), newer=direction == "n")

    def condition(self, field: str, *, newer: bool | None = None, inclusive: bool = False) -> Q:
        """Return the condition for the rows on one side of this position.

        Args:
            field: the column of the time.
            newer: the side; that of the cursor by default.
            inclusive: whether the row at this position is included.
        """
        way = "gt" if (self.newer if newer is None else newer) else "lt"
        further = Q(**{f"{field}__{way}": self.when})
        same = Q(**{f"pk__{way}{'e' * inclusive}": self.key})
        # The first condition bounds the index scan, which the second one alone would not
        return Q(**{f"{field}__{way}e": self.when}) & (further | same)


class SignedCursors:
    """Signed cursors of one list, which no other list and no other filter accepts.

    Args:
        name: the name of the list.
        bound_to: its filters and its owner, as for `signed_text.sign`.
    """

    def __init__(self, name: str, *bound_to: Any) -> None:
        self._bound = ("cursor", name, *bound_to)

    def text(self, cursor: Cursor | None) -> str:
        """Return a cursor as a text; empty for None."""
        return "" if cursor is None else sign(str(cursor), *self._bound)

    def read(self, text: str | None) -> Cursor | None:
        """Return the cursor from the result of `text`; None without a text.

        Raises:
            InvalidCursor: altered, or of another list or filter.
        """
        if not text:
            return None
        value = verify(text, *self._bound)
        if value is None:
            raise InvalidCursor
        return Cursor.parse(value)


@dataclass(frozen=True, slots=True)
class RowCount:
    """A number of rows, counted up to a bound.

    Attributes:
        count: the counted rows.
        is_all: whether these are all rows.
    """

    count: int
    is_all: bool

    @classmethod
    def of(cls, rows: QuerySet[Any], most: int) -> RowCount:
        """Count rows up to a bound. One statement without sorting."""
        found = rows.order_by()[: most + 1].count()
        return cls(min(found, most), is_all=found <= most)

    @property
    def has_more(self) -> bool:
        """Whether there are, or may be, more rows."""
        return not self.is_all

    def __str__(self) -> str:
        return f"{self.count:,}{'' if self.is_all else '+'}"


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some rows, newest first, with the cursors of the neighbouring pages; None at an end."""

    rows: list[T]
    newer: Cursor | None = None
    older: Cursor | None = None


@dataclass(frozen=True, slots=True)
class KeysetList(Generic[M]):
    """A list ordered by a time, newest first.

    Attributes:
        field: the column of the time.
        branches: querysets whose union is the list. Each uses an index of its own; one condition
            with OR would use none.
    """

    field: str
    branches: Sequence[QuerySet[M]]

    def page(self, size: int, cursor: Cursor | None = None) -> Page[M]:
        """Return up to `size` rows; a statement for each branch."""
        found = self._some(size + 1, cursor)
        rows, more = found[:size], len(found) > size
        if cursor is None or not cursor.newer:
            before = cursor is not None and bool(rows)
            return Page(
                rows,
                newer=self._cursor(rows[0], newer=True) if before else None,
                older=self._cursor(rows[-1]) if more else None,
            )
        # Fewer newer rows than a page: return the first page, which is always full
        if not more:
            return self.page(size)
        rows.reverse()
        return Page(rows, self._cursor(rows[0], newer=True), self._cursor(rows[-1]))

    def all(self, batch: int = limits.MAX_READ_BATCH) -> Iterator[M]:
        """Yield every row, newest first, in constant memory.

        By keyset: a database cursor needs a transaction for as long as the reader takes, and fails
        behind a connection pooler.
        """
        cursor: Cursor | None = None
        while rows := self._some(batch, cursor):
            yield from rows
            cursor = self._cursor(rows[-1])

    def _some(self, count: int, cursor: Cursor | None) -> list[M]:
        newer = cursor is not None and cursor.newer
        order = (self.field, "pk") if newer else (f"-{self.field}", "-pk")
        beyond = Q() if cursor is None else cursor.condition(self.field)
        parts = [list(rows.filter(beyond).order_by(*order)[:count]) for rows in self.branches]
        merged = merge(*parts, key=self._place, reverse=not newer)
        return list(islice(_once(merged), count))

    def _place(self, row: M) -> tuple[datetime, Any]:
        return getattr(row, self.field), row.pk

    def _cursor(self, row: M, *, newer: bool = False) -> Cursor:
        return Cursor(*self._place(row), newer=newer)


def _once(rows: Iterable[M]) -> Iterator[M]:
    # Two branches may have the same row; in order, the two are adjacent
    last: M | None = None
    for row in rows:
        if last is None or row.pk != last.pk:
            yield row
        last = row
