"""Rows that many tests begin with: made once by the models, and written again as they were."""

import copy
import itertools

from django.contrib.auth import get_user_model
from django.db import IntegrityError, connection, transaction

from delegation_app import toolkit
from delegation_app.models import ClientPolicy, ResourceServer


class Snapshot:
    """What `build` stores and returns, without the work that storing it takes the first time.

    Only rows of people, clients, their policies and services are kept.
    """

    def __init__(self, build):
        self._build = build
        self._made = None

    def again(self):
        """Store it all, and return what `build` returned."""
        if self._made is None:
            return self._first()
        made, tables = self._made
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                for insert, rows in tables:
                    cursor.executemany(insert, rows)
        except IntegrityError:
            # The test has rows already that bear these keys
            return self._build()
        return copy.deepcopy(made)

    def _first(self):
        models = list(_models())
        if any(model.objects.exists() for model in models):
            return self._build()
        made = self._build()
        with connection.cursor() as cursor:
            tables = [_table(cursor, model._meta.db_table) for model in models]
        self._made = copy.deepcopy(made), [(insert, rows) for insert, rows in tables if rows]
        return made


def _models():
    own = (get_user_model(), toolkit.application_model(), ResourceServer, ClientPolicy)
    joined = (field.remote_field.through for model in own for field in model._meta.many_to_many)
    return itertools.chain(own, joined)


def _table(cursor, table):
    name = connection.ops.quote_name(table)
    cursor.execute(f"SELECT * FROM {name}")  # noqa: S608 - the names are the models' own
    columns = [connection.ops.quote_name(column[0]) for column in cursor.description]
    marks = ", ".join(["%s"] * len(columns))
    insert = f"INSERT INTO {name} ({', '.join(columns)}) VALUES ({marks})"  # noqa: S608 - as above
    return insert, cursor.fetchall()
