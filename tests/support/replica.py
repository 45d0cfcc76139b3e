"""A second database that a site reads from, and that lags: it has what was there when copied."""

import copy
import sqlite3
import traceback
from contextlib import closing, contextmanager

from django.db import connection, connections

ALIAS = "replica"


class ReadsFromReplica:
    """A router as a site with a replica has it."""

    def db_for_read(self, model, **hints):
        return ALIAS

    def db_for_write(self, model, **hints):
        return "default"


class Replica:
    """The replica of a test, and the statements that it was sent.

    Attributes:
        statements: the SQL of each, with the lines of ours that led to it.
    """

    def __init__(self, path):
        self.path = path
        self.statements = []

    def catch_up(self):
        """Copy what is committed by now."""
        with self._replaced() as copied, closing(sqlite3.connect(_main())) as source:
            source.backup(copied)

    def lose_everything(self):
        """Have no tables, so that every statement fails."""
        with self._replaced():
            self.path.unlink()

    @contextmanager
    def serving(self):
        """Be a database of this site, and note what is asked."""
        own = {**copy.deepcopy(connection.settings_dict), "NAME": str(self.path)}
        connections.databases[ALIAS] = own
        try:
            self.catch_up()
            with connections[ALIAS].execute_wrapper(self._note):
                yield self
        finally:
            connections[ALIAS].close()
            del connections[ALIAS], connections.databases[ALIAS]

    def _note(self, execute, sql, params, many, context):
        frames = [f for f in traceback.extract_stack() if "/delegation_app/" in f.filename]
        self.statements.append(f"{sql} from {[f'{f.filename}:{f.lineno}' for f in frames]}")
        return execute(sql, params, many, context)

    @contextmanager
    def _replaced(self):
        connections[ALIAS].close()
        with closing(sqlite3.connect(self.path)) as copied:
            yield copied
        # Not by `ensure_connection`: Django lets a test open the databases of its case only
        connections[ALIAS].connect()
        self.statements.clear()


def _main():
    return connection.settings_dict["NAME"]


class LooksAtUsers:
    """A middleware of a site that looks at who is signed in before any view does."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        request.is_known = request.user.is_authenticated
        return self.get_response(request)
