"""Which databases are supported, and how they have to be set up."""

import pytest

from delegation_app import checks
from tests.checks import GOOD_PRAGMAS, numbers

pytestmark = [pytest.mark.any_database, pytest.mark.compat]

SQLITE = "django.db.backends.sqlite3"
POSTGRESQL = "django.db.backends.postgresql"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"transaction_mode": "IMMEDIATE", "init_command": GOOD_PRAGMAS}, []),
        ({"transaction_mode": "immediate", "init_command": "PRAGMA journal_mode = wal"}, []),
        ({"init_command": GOOD_PRAGMAS}, ["E006"]),
        ({"transaction_mode": "DEFERRED", "init_command": GOOD_PRAGMAS}, ["E006"]),
        ({"transaction_mode": "IMMEDIATE"}, ["E007"]),
        ({}, ["E006", "E007"]),
        (None, ["E006", "E007"]),
        (
            {
                "transaction_mode": "IMMEDIATE",
                "init_command": "PRAGMA journal_mode=WAL;PRAGMA synchronous=NORMAL",
            },
            ["W001"],
        ),
    ],
)
def test_check_when_sqlite_is_not_immediate_and_wal_then_named(database, options, expected):
    database(ENGINE=SQLITE, OPTIONS=options)

    assert numbers(checks.databases.check_sqlite()) == expected


def test_check_when_database_is_postgresql_then_sqlite_is_no_matter(database):
    database(ENGINE=POSTGRESQL)

    assert numbers(checks.databases.check_sqlite()) == []


@pytest.mark.parametrize(
    ("engine", "expected"),
    [
        (SQLITE, []),
        (POSTGRESQL, []),
        ("django.db.backends.mysql", ["E013"]),
        ("django.db.backends.oracle", ["E013"]),
        ("mssql", ["E013"]),
        ("django.db.backends.dummy", ["W017"]),
        ("", ["W017"]),
        # Not told apart by its name: what counts is what it says of itself
        ("tests.checks.engines.own", []),
        ("tests.checks.engines.cockroach", ["E013"]),
    ],
)
def test_check_when_database_is_not_supported_then_e013(database, engine, expected):
    database(ENGINE=engine)

    messages = checks.databases.check_vendor()
    assert numbers(messages) == expected
    if expected == ["E013"]:
        assert "SQLite or PostgreSQL" in messages[0].hint


def test_check_when_there_is_no_database_then_w017(change_setting):
    change_setting("DATABASES", {})

    assert numbers(checks.databases.check_vendor()) == ["W017"]
    assert checks.databases.check_sqlite() == []


def test_check_when_users_are_on_another_database_then_e018(settings):
    class Split:
        def db_for_write(self, model, **_hints):
            return "identity" if model._meta.app_label == "auth" else "default"

    assert checks.databases.check_routers() == []
    settings.DATABASE_ROUTERS = [Split()]
    (message,) = checks.databases.check_routers()

    assert numbers([message]) == ["E018"]
    assert "auth.User on 'identity'" in message.msg
