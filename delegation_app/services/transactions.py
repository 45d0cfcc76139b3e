"""How services write: in one transaction, durable before anything is told."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterable
from typing import Final, ParamSpec, TypeVar

from django.db import DatabaseError, connections, router, transaction

from delegation_app.models import Delegation
from delegation_app.protocol.errors import OAuthError

P = ParamSpec("P")
R = TypeVar("R")

_ATTEMPTS: Final = 3
# SQLSTATE class 40: the database gave up on this transaction and asks for another try
_TRANSIENT: Final = frozenset({"40001", "40P01"})


def database() -> str:
    """Return the alias of the database that takes our writes."""
    return router.db_for_write(Delegation)


def own(work: Callable[P, R | OAuthError]) -> Callable[P, R]:
    """Run `work` in a transaction of its own, and again if the database asks for that.

    An error that `work` raises undoes everything. An error that it *returns* is raised after the
    commit, so that the consequences of a refusal outlive it.

    Raises:
        RuntimeError: a transaction is open already (ATOMIC_REQUESTS); its rollback could
            undo what was told to be durable.
    """

    @functools.wraps(work)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                with transaction.atomic(using=database(), durable=True):
                    result = work(*args, **kwargs)
            except DatabaseError as error:
                if attempt == _ATTEMPTS or not _is_transient(error):
                    raise
            else:
                break
        if isinstance(result, OAuthError):
            raise result
        return result

    return wrapped


def joined() -> transaction.Atomic:
    """Return a transaction that is part of the one around it, if there is one."""
    return transaction.atomic(using=database())


def hold(*names: str, shared: Iterable[str] = ()) -> None:
    """Wait until no other transaction holds `names`, and hold them until the commit.

    One statement on PostgreSQL. SQLite has one writer at a time (BEGIN IMMEDIATE), so there it
    costs nothing.

    Args:
        names: held by this transaction alone.
        shared: held together with other transactions that share them.
    """
    connection = connections[database()]
    if connection.vendor != "postgresql":
        return
    locks = [("pg_advisory_xact_lock", name) for name in sorted(names)]
    locks += [("pg_advisory_xact_lock_shared", name) for name in sorted(shared)]
    with connection.cursor() as cursor:
        calls = ", ".join(f"{lock}(%s)" for lock, _name in locks)
        cursor.execute(f"SELECT {calls}", [_advisory_key(name) for _lock, name in locks])


def _advisory_key(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)


def _is_transient(error: DatabaseError) -> bool:
    return getattr(error.__cause__, "sqlstate", None) in _TRANSIENT
