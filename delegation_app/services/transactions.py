"""Transactions of services: a result is durable before any response reveals it."""

from __future__ import annotations

import functools
import hashlib
import time
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from typing import Final, ParamSpec, TypeVar

from django.db import (
    DatabaseError,
    IntegrityError,
    InterfaceError,
    OperationalError,
    connections,
    router,
    transaction,
)

from delegation_app import primary
from delegation_app.models import AuditEvent, Delegation
from delegation_app.protocol.errors import OAuthError, OutcomeUnknown

P = ParamSpec("P")
R = TypeVar("R")

_ATTEMPTS: Final = 3
# SQLSTATE class 40: the database has aborted this transaction and requires a retry
_TRANSIENT: Final = frozenset({"40001", "40P01"})
_LOCK_NOT_AVAILABLE: Final = "55P03"

# After a commit without a response: the seconds before each look-up, and how long one look-up waits
# for a server that is still busy with that commit
PAUSES: tuple[float, ...] = (0.0, 0.1, 0.3, 0.6, 1.0)
PATIENCE_MS = 3000

_REPEAT: Final = "Repeating the request is safe."
_LOOK_FIRST: Final = "Look whether it was done before you repeat it."


class _Run:
    """One run of a unit of work, with evidence of its commit.

    Attributes:
        witnesses: audit events that it inserted. Their keys belong to this transaction alone.
        hooks: the callbacks of the commit.
        result: the result of the work.
        is_finished: whether only the commit is left.
    """

    def __init__(self) -> None:
        self.witnesses: list[AuditEvent] = []
        self.hooks: list[Callable[[], object]] = []
        self.result: object = None
        self.is_finished = False

    def of(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        token = _running.set(self)
        try:
            result = work(*args, **kwargs)
        finally:
            _running.reset(token)
        self.hooks = [entry[1] for entry in connections[database()].run_on_commit]
        self.result, self.is_finished = result, True
        return result

    def lost_its_answer(self, error: Exception) -> bool:
        """Whether the commit was sent, and neither confirmed nor refused."""
        is_answer = not isinstance(error, OperationalError | InterfaceError) or _is_transient(error)
        # The transaction of a test case has no commit that could be lost
        return self.is_finished and not is_answer and not connections[database()].in_atomic_block


_running: ContextVar[_Run | None] = ContextVar("delegation_app_running", default=None)


class Contended(OperationalError):
    """A wait that might never end: the transaction is rolled back and run again."""


def database() -> str:
    """Return the alias of the database that takes this app's writes."""
    return router.db_for_write(Delegation)


def durable(work: Callable[P, R | OAuthError]) -> Callable[P, R]:
    """Run `work` in a transaction of its own, and again if the database requires a retry.

    An error that `work` raises undoes everything. An error that it *returns* is raised after the
    commit, so that the consequences of a refusal outlive it. No model is read from a replica.

    If the connection is lost during the commit, the audit event that `work` inserted is looked up
    on a new one. If it exists, so does everything else, and the result is returned. If not, `work`
    runs again. So does work without an event, which at most counts a poll or stores a request.

    Raises:
        OutcomeUnknown: the database does not answer whether the commit took place.
        RuntimeError: a transaction is open already (ATOMIC_REQUESTS); its rollback could undo a
            reported result.
    """
    return _owned(work, _REPEAT)


def durable_once(work: Callable[P, R | OAuthError]) -> Callable[P, R]:
    """Run `work` as `durable` does, for work that is not safe to repeat."""
    return _owned(work, _LOOK_FIRST)


def witness(event: AuditEvent) -> None:
    """Note that the running work inserted `event`, which exists if and only if its commit does."""
    if (run := _running.get()) is not None:
        run.witnesses.append(event)


def part(work: Callable[P, R]) -> Callable[P, R]:
    """Run `work` as a part of the transaction around it.

    Without one it runs as `durable` does: concurrent revocations may deadlock, and the database
    aborts one of them.
    """
    alone = durable(work)

    @functools.wraps(work)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        if not connections[database()].in_atomic_block:
            return alone(*args, **kwargs)
        with nested():
            return work(*args, **kwargs)

    return wrapped


def nested() -> transaction.Atomic:
    """Return a transaction that is part of the one around it, if there is one."""
    return transaction.atomic(using=database())


def advisory_lock(*names: str, shared: Iterable[str] = ()) -> None:
    """Lock `names` until the commit, after a wait for other transactions that hold them.

    One statement on PostgreSQL. SQLite has one writer at a time (BEGIN IMMEDIATE), and needs none.

    Args:
        names: exclusive locks.
        shared: shared locks.
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


def _owned(work: Callable[P, R | OAuthError], advice: str) -> Callable[P, R]:
    @functools.wraps(work)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        for left in reversed(range(_ATTEMPTS)):
            run = _Run()
            try:
                with primary.reading(), transaction.atomic(using=database(), durable=True):
                    result = run.of(work, *args, **kwargs)
            except (DatabaseError, InterfaceError) as error:
                if _stands(run, error, advice):
                    break
                if not (left and _may_run_again(run, error)):
                    raise
            else:
                break
        if isinstance(result, OAuthError):
            raise result
        return result

    return wrapped


def _may_run_again(run: _Run, error: Exception) -> bool:
    return _is_transient(error) or run.lost_its_answer(error)


def _stands(run: _Run, error: Exception, advice: str) -> bool:
    """Whether the commit took place in spite of `error`. If so, its callbacks are run.

    Raises:
        OutcomeUnknown: the database does not answer.
    """
    if not run.lost_its_answer(error):
        return False
    for pause in PAUSES:
        time.sleep(pause)
        # The old connection is unusable, even where Django considers it good
        connections[database()].close()
        try:
            stands = any(_is_committed(event) for event in run.witnesses)
        except (DatabaseError, InterfaceError) as silence:
            if _sqlstate(silence) == _LOCK_NOT_AVAILABLE:
                break
            continue
        for hook in run.hooks if stands else ():
            hook()
        return stands
    unknown = OutcomeUnknown(advice)
    unknown.attempted = run.result
    raise unknown from error


def _is_committed(event: AuditEvent) -> bool:
    # A plain SELECT would miss a commit that is still in progress. An INSERT of the same key waits
    # for that transaction, and fails if and only if the key exists.
    values = {field.attname: getattr(event, field.attname) for field in event._meta.concrete_fields}
    using = database()
    try:
        with transaction.atomic(using=using, durable=True):
            _wait_at_most(PATIENCE_MS)
            AuditEvent(**values).save(force_insert=True, using=using)
            transaction.set_rollback(True, using=using)
    except IntegrityError:
        # After a failover, or a rollback on SQLite, the key may belong to another event
        names = ("id", "event", "occurred_at", "actor", "jti", "request_id")
        same = {name: values[name] for name in names}
        return AuditEvent.objects.using(using).filter(**same).exists()
    return False


def _wait_at_most(milliseconds: int) -> None:
    connection = connections[database()]
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('lock_timeout', %s, true)", [f"{milliseconds}ms"])


def _is_transient(error: Exception) -> bool:
    return isinstance(error, Contended) or _sqlstate(error) in _TRANSIENT


def _sqlstate(error: Exception) -> str | None:
    return getattr(error.__cause__, "sqlstate", None)


def lock_root(*delegations: Delegation) -> None:
    """Lock the roots of delegations until the commit, always in the same order.

    Every change of a tree locks its root first, so nothing is added during a revocation: a plain
    UPDATE would not wait for concurrent INSERTs. Rows read before the lock have to be read again.
    """
    roots = Delegation.objects.filter(public_id__in={row.root_id for row in delegations})
    list(roots.select_for_update().order_by("public_id").values_list("pk"))
