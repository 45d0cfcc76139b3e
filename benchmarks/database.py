"""What the benchmarks do to a planted database beside what they measure."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection, models


def tidy() -> None:
    """Do what autovacuum does in time: count anew, and free what nobody sees any more."""
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE" if _is_postgresql() else "ANALYZE")


def restore(delegations: models.QuerySet[Any]) -> None:
    """Undo a revocation, which no service does, and free what that leaves behind."""
    table = delegations.model._meta.db_table
    delegations.update(revoked_at=None, revoked_by="", revocation_reason="")
    if _is_postgresql():
        with connection.cursor() as cursor:
            cursor.execute(f"VACUUM {table}")


def fill(percent: int) -> None:
    """Let PostgreSQL fill the pages of the table of delegations only that far."""
    from delegation_app.models import Delegation

    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {Delegation._meta.db_table} SET (fillfactor = {percent})")


class HotUpdates:
    """How many updates of delegations touched no index; empty where nobody counts that."""

    def __init__(self) -> None:
        self._before = self._now()
        self._after = self._before

    def close(self) -> None:
        """Take the second count."""
        self._after = self._now()

    def __str__(self) -> str:
        updates, hot = (
            after - before for before, after in zip(self._before, self._after, strict=True)
        )
        return f", {100 * hot / updates:.0f} % HOT" if updates else ""

    @staticmethod
    def _now() -> tuple[int, int]:
        if not _is_postgresql():
            return 0, 0
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_stat_force_next_flush()")
            cursor.execute(
                "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables"
                " WHERE relname = 'delegation_app_delegation'"
            )
            updates, hot = cursor.fetchone()
        return updates, hot


@contextmanager
def hot_updates() -> Iterator[HotUpdates]:
    """Count the updates inside; the figure stands when the block is left."""
    counted = HotUpdates()
    yield counted
    counted.close()


def _is_postgresql() -> bool:
    return connection.vendor == "postgresql"
