"""Leafing through long lists by where one stands: no page costs more than the first.

A position is a time and a key, so that nothing is missed or shown twice while rows are added.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from heapq import merge
from itertools import islice
from typing import Any, Final, Generic, TypeVar

from django.db import models

from delegation_app.protocol.requests import reading

M = TypeVar("M", bound=models.Model)

_CURSOR: Final = re.compile(r"([on])([0-9]{1,17})-([0-9]{1,18})", re.ASCII)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_BATCH: Final = 2000


class InvalidCursor(ValueError):
    """A text that names no place in a list."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in a list, and the direction in which it goes on.

    Attributes:
        when, key: the row beside which the page begins; it need not be there any more.
        newer: whether the page has what is newer than that row, or else what is older.
    """

    when: datetime
    key: int
    newer: bool = False

    def __str__(self) -> str:
        return f"{'n' if self.newer else 'o'}{(self.when - _EPOCH) // _MICROSECOND}-{self.key}"

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """Read what `str` wrote; every text that passes is a place, and only that.

        Raises:
            InvalidCursor: it is none.
        """
        found = _CURSOR.fullmatch(text)
        if found is None:
            raise InvalidCursor("Invalid cursor.")
        direction, when, key = found.groups()
        moment = _EPOCH + int(when) * _MICROSECOND
        return cls(moment, reading.key(key), newer=direction == "n")


@dataclass(frozen=True, slots=True)
class Page(Generic[M]):
    """Some rows, newest first.

    Attributes:
        rows: the rows.
        newer, older: the cursors of the neighbouring pages; empty where there is none.
    """

    rows: list[M]
    newer: str = ""
    older: str = ""


@dataclass(frozen=True, slots=True)
class Newest(Generic[M]):
    """A list in the order of a time, newest first.

    Attributes:
        field: the column of the time.
        branches: querysets of which the list is the union. Each has an index of its own; one
            condition with OR would have none.
    """

    field: str
    branches: Sequence[models.QuerySet[M]]

    def page(self, size: int, cursor: Cursor | None = None) -> Page[M]:
        """Return up to `size` rows; a statement for each branch."""
        found = self._some(size + 1, cursor)
        rows, more = found[:size], len(found) > size
        if cursor is None or not cursor.newer:
            before = cursor is not None and bool(rows)
            return Page(
                rows,
                newer=self._cursor(rows[0], newer=True) if before else "",
                older=self._cursor(rows[-1]) if more else "",
            )
        # Less than a page is newer: that is the first page, which shall be a full one
        if not more:
            return self.page(size)
        rows.reverse()
        return Page(rows, self._cursor(rows[0], newer=True), self._cursor(rows[-1]))

    def all(self, batch: int = _BATCH) -> Iterator[M]:
        """Yield every row, newest first, in constant memory.

        By keyset and not by a cursor of the database: that one needs a transaction for as long as
        the reader takes, and does not go through a pooler of connections.
        """
        cursor: Cursor | None = None
        while rows := self._some(batch, cursor):
            yield from rows
            last = rows[-1]
            cursor = Cursor(getattr(last, self.field), last.pk)

    def _some(self, count: int, cursor: Cursor | None) -> list[M]:
        newer = cursor is not None and cursor.newer
        order = (self.field, "pk") if newer else (f"-{self.field}", "-pk")
        parts = [
            list(self._beyond(rows, cursor).order_by(*order)[:count]) for rows in self.branches
        ]
        merged = merge(*parts, key=self._place, reverse=not newer)
        return list(islice(_once(merged), count))

    def _beyond(self, rows: models.QuerySet[M], cursor: Cursor | None) -> models.QuerySet[M]:
        if cursor is None:
            return rows
        way = "gt" if cursor.newer else "lt"
        # The index is entered by the first condition; the second one alone would not say where
        return rows.filter(**{f"{self.field}__{way}e": cursor.when}).filter(
            models.Q(**{f"{self.field}__{way}": cursor.when})
            | models.Q(**{f"pk__{way}": cursor.key})
        )

    def _place(self, row: M) -> tuple[datetime, Any]:
        return getattr(row, self.field), row.pk

    def _cursor(self, row: M, *, newer: bool = False) -> str:
        return str(Cursor(getattr(row, self.field), row.pk, newer=newer))


def _once(rows: Iterable[M]) -> Iterator[M]:
    # Two branches may have the same row; in order, they come one after the other
    last: M | None = None
    for row in rows:
        if last is None or row.pk != last.pk:
            yield row
        last = row
