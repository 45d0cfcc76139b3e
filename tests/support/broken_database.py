"""A database that fails when it is told to."""

from contextlib import contextmanager
from unittest import mock

from django.db import OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper


class Failure:
    """Counts statements; tells afterwards whether one of them failed."""

    def __init__(self):
        self.statements = 0
        self.happened = False

    def raise_if(self, condition):
        if condition:
            self.happened = True
            raise OperationalError("server closed the connection unexpectedly: secret-host:5432")


@contextmanager
def failing(statement=1, *, lasting=True):
    """Let the n-th statement fail, and all that follow it or, if not lasting, no other."""
    failure = Failure()
    execute = CursorWrapper.execute

    def counted(cursor, sql, params=None):
        failure.statements += 1
        failure.raise_if(
            failure.statements == statement or (lasting and failure.statements > statement)
        )
        return execute(cursor, sql, params)

    with mock.patch.object(CursorWrapper, "execute", counted):
        yield failure


@contextmanager
def failing_commit(*, after=False, times=None):
    """Let commits fail; with `after`, the database has done it and only the answer is lost.

    Args:
        after: whether the database has committed.
        times: how many fail; None for all.
    """
    failure = Failure()
    commit = BaseDatabaseWrapper._commit

    def broken(connection):
        failure.statements += 1
        if times is not None and failure.statements > times:
            commit(connection)
            return
        if after:
            commit(connection)
        failure.happened = True
        raise OperationalError("server closed the connection unexpectedly: secret-host:5432")

    with mock.patch.object(BaseDatabaseWrapper, "_commit", broken):
        yield failure
