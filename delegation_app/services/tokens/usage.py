"""Noting that a delegation was used, which nothing depends on.

A question about a token must not need a database that takes writes, nor wait for a lock.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import datetime
from typing import Any, Final

from django.db import DatabaseError, InterfaceError, connections, transaction

from delegation_app.models import Delegation
from delegation_app.protocol.printable import logger_for
from delegation_app.rate_limited_logger import RateLimitedLogger
from delegation_app.services.transactions import database

_REST: Final = 5.0
_failing: Final = RateLimitedLogger(logger_for("delegation_app"))


class _Pause:
    """Until when nothing is noted, after that failed."""

    def __init__(self) -> None:
        self.until = float("-inf")


_pause: Final = _Pause()


def forget() -> None:
    """Try again, as a process that has just begun."""
    _pause.until = float("-inf")
    _failing.forget()


def note(delegation: Delegation, now: datetime) -> None:
    """Note that a delegation was used, at most once a minute, if that can be done without waiting.

    Args:
        delegation: as read from its table.
        now: when it was used.

    Side effects: one statement, only where the last use is a minute ago. It does not wait for a row
    that is locked. A failure is logged at most once a minute, and for five seconds nothing is
    tried.
    """
    if not delegation.is_use_due(now) or time.monotonic() < _pause.until:
        return
    connection = connections[database()]
    if connection.needs_rollback:
        return
    # Inside another transaction a failure must not be the failure of all of it
    alone = transaction.atomic(database()) if connection.in_atomic_block else nullcontext()
    try:
        with alone, _not_waiting(connection):
            _write(connection, delegation, now)
    except (DatabaseError, InterfaceError) as error:
        _pause.until = time.monotonic() + _REST
        _failing.warning("the use of a delegation was not noted: %s", error)


def _write(connection: Any, delegation: Delegation, now: datetime) -> None:
    rows = Delegation.objects.filter(pk=delegation.pk)
    if connection.vendor != "postgresql":
        rows.used(now)
        return
    # One statement. Django takes SKIP LOCKED inside a transaction only, which would be three
    table = connection.ops.quote_name(Delegation._meta.db_table)
    found, values = rows.unused(now).order_by().values("pk").query.sql_with_params()
    sql = (
        f"UPDATE {table} SET last_used_at = %s "  # noqa: S608 - a name of ours
        f"WHERE id IN ({found} FOR NO KEY UPDATE SKIP LOCKED)"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, [now, *values])


@contextmanager
def _not_waiting(connection: Any) -> Iterator[None]:
    if connection.vendor != "sqlite" or connection.in_atomic_block:
        yield
        return
    connection.ensure_connection()
    driver = connection.connection
    # SQLite has one writer, and the others wait for seconds. By the driver: it is no statement
    (patience,) = driver.execute("PRAGMA busy_timeout").fetchone()
    driver.execute("PRAGMA busy_timeout = 0")
    try:
        yield
    finally:
        driver.execute(f"PRAGMA busy_timeout = {int(patience)}")
