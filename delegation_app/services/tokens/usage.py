"""Recording the last use of a delegation, on a best-effort basis.

Judging a token must not require a writable database, nor wait for a lock.
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
    """The pause after a failed write."""

    def __init__(self) -> None:
        self.until = float("-inf")


_pause: Final = _Pause()


def forget() -> None:
    """End the pause, as in a new process."""
    _pause.until = float("-inf")
    _failing.forget()


def note(delegation: Delegation, now: datetime) -> None:
    """Record that a delegation was used, at most once a minute, if this needs no waiting.

    Args:
        delegation: as read from its table.
        now: the time of the use (UTC).

    Side effects: one statement, only if the recorded use is a minute old. A locked row is skipped.
    A failure is logged at most once a minute, and pauses writes for five seconds.
    """
    if not delegation.is_use_due(now) or time.monotonic() < _pause.until:
        return
    connection = connections[database()]
    if connection.needs_rollback:
        return
    # A savepoint: a failure must not abort the transaction around it
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
    # One statement: Django allows SKIP LOCKED only inside a transaction, which would take three
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
    # SQLite has one writer; others wait for seconds. Set on the driver, without a counted statement
    (patience,) = driver.execute("PRAGMA busy_timeout").fetchone()
    driver.execute("PRAGMA busy_timeout = 0")
    try:
        yield
    finally:
        driver.execute(f"PRAGMA busy_timeout = {int(patience)}")
