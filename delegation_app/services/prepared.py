"""Querysets that Django compiles once per database and that run with other values afterwards.

Django takes several times as long to compile a long SELECT as the database takes to answer it. So
the queries of the hot path are written as querysets, compiled by Django's own compiler on first
use, and then executed with their parameters.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Generic, TypeVar

from django.db import connections
from django.db.models import Model, QuerySet

from delegation_app.services.transactions import database

Row = TypeVar("Row", bound=Model)

_STAND_IN_TIME: Final = datetime(1913, 8, 7, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class _Slot:
    """The place of a value among the parameters of a statement."""

    number: int


@dataclass(frozen=True, slots=True)
class _Compiled:
    """A queryset, its used compiler, and the resulting statement."""

    queryset: QuerySet[Any]
    compiler: Any
    sql: str
    params: tuple[Any, ...]


class PreparedQuery(Generic[Row]):
    """A queryset whose statement does not depend on its values.

    Args:
        build: returns the queryset for its values, each a string or a time (UTC). It is called with
            stand-ins, once per database, and must use each value as the right side of a lookup.
    """

    def __init__(self, build: Callable[..., QuerySet[Row]]) -> None:
        self._build = build
        self._compiled: dict[str, _Compiled] = {}

    def fetch(self, *values: str | datetime) -> list[Row]:
        """Return the objects of the queryset for `values`, from the database that takes the writes.

        One statement.
        """
        alias = database()
        compiled = self._compiled.get(alias)
        if compiled is None:
            compiled = self._compiled[alias] = self._compile(alias, values)
        # Another thread may have compiled it, on a connection of its own
        connection = connections[alias]
        given = [_adapted(connection, value) for value in values]
        params = tuple(
            given[one.number] if isinstance(one, _Slot) else one for one in compiled.params
        )
        compiler = copy.copy(compiled.compiler)
        compiler.connection = connection
        compiler.as_sql = lambda *_args, **_options: (compiled.sql, params)
        rows = compiled.queryset.all()
        rows.query.get_compiler = lambda *_args, **_options: compiler  # type: ignore[method-assign]
        return list(rows)

    def _compile(self, alias: str, values: tuple[str | datetime, ...]) -> _Compiled:
        stand_ins = [_stand_in(value, number) for number, value in enumerate(values)]
        queryset = self._build(*stand_ins).using(alias)
        compiler = queryset.query.get_compiler(using=alias)
        sql, params = compiler.as_sql()
        connection = connections[alias]
        slots = {_adapted(connection, one): _Slot(number) for number, one in enumerate(stand_ins)}
        placed = [slots.get(one, one) if isinstance(one, str | datetime) else one for one in params]
        return _Compiled(queryset, compiler, sql, tuple(placed))


def _stand_in(value: str | datetime, number: int) -> str | datetime:
    if isinstance(value, str):
        return f"stand-in {number} of a prepared query"
    return _STAND_IN_TIME + timedelta(microseconds=number + 1)


def _adapted(connection: Any, value: str | datetime) -> Any:
    if isinstance(value, str):
        return value
    return connection.ops.adapt_datetimefield_value(value)
