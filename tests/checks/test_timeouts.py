"""For what a request may wait without end: `check --deploy`."""

import pytest

from delegation_app import checks
from example_project import database_url
from tests.checks import numbers

pytestmark = pytest.mark.any_database

SQLITE = "django.db.backends.sqlite3"
POSTGRESQL = "django.db.backends.postgresql"
REDIS = "django.core.cache.backends.redis.RedisCache"
PYMEMCACHE = "django.core.cache.backends.memcached.PyMemcacheCache"
GOOD = database_url.parse("postgres://app@db.example.com/tokens")
ALL = ["W008", "W009", "W010", "W011", "W012"]


def of_database():
    return numbers(checks.timeouts.check_postgresql())


def test_deploy_when_the_database_is_that_of_the_example_then_nothing_to_say(database):
    database(**GOOD)

    assert of_database() == []


def test_deploy_when_nothing_is_set_then_each_is_named(database):
    database(ENGINE=POSTGRESQL, HOST="db.example.com")

    assert of_database() == ALL


def test_deploy_when_the_database_is_sqlite_then_it_is_no_matter(database):
    database(ENGINE=SQLITE, HOST="db.example.com")

    assert of_database() == []


@pytest.mark.parametrize("host", ["", "/run/postgresql"])
def test_deploy_when_the_database_is_on_this_machine_then_no_packet_is_lost(database, host):
    database(ENGINE=POSTGRESQL, HOST=host)

    assert of_database() == [number for number in ALL if number != "W009"]


@pytest.mark.parametrize(
    ("name", "number"),
    [("connect_timeout", "W008"), ("keepalives_idle", "W009"), ("tcp_user_timeout", "W009")],
)
@pytest.mark.parametrize("value", [None, 0, "0"])
def test_deploy_when_one_is_missing_or_endless_then_it_is_named(database, name, number, value):
    database(**{**GOOD, "OPTIONS": {**GOOD["OPTIONS"], name: value}})

    assert of_database() == [number]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("-c statement_timeout=15s -c lock_timeout=5s", ["W012"]),
        ("-cstatement_timeout=15000 --lock-timeout=5000", ["W012"]),
        ("-c statement_timeout=0 -c lock_timeout=0ms", ["W010", "W011", "W012"]),
        ("-c 'statement_timeout=15 s' -c search_path=public", ["W011", "W012"]),
        # The last one counts
        (
            "-c statement_timeout=9 -c lock_timeout=9 -c statement_timeout=0",
            ["W010", "W012"],
        ),
        ("-c 'broken", ["W010", "W011", "W012"]),
        ("-c statement_timeout", ["W010", "W011", "W012"]),
    ],
)
def test_deploy_when_a_session_has_no_timeouts_then_each_is_named(database, options, expected):
    database(**{**GOOD, "OPTIONS": {**GOOD["OPTIONS"], "options": options}})

    assert of_database() == expected


@pytest.mark.parametrize(
    ("cache", "expected"),
    [
        ({"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}, []),
        ({"BACKEND": "django.core.cache.backends.dummy.DummyCache"}, []),
        ({"BACKEND": REDIS}, ["W013"]),
        ({"BACKEND": REDIS, "OPTIONS": {"socket_timeout": 1}}, ["W013"]),
        ({"BACKEND": REDIS, "OPTIONS": {"socket_timeout": 1, "socket_connect_timeout": None}},
         ["W013"]),
        ({"BACKEND": REDIS, "OPTIONS": {"socket_timeout": 1, "socket_connect_timeout": 1}}, []),
        ({"BACKEND": REDIS,
          "LOCATION": "redis://cache/0?socket_timeout=1&socket_connect_timeout=0.5"}, []),
        ({"BACKEND": REDIS, "LOCATION": ["redis://one/0", "redis://two/0"]}, ["W013"]),
        ({"BACKEND": "django_redis.cache.RedisCache",
          "OPTIONS": {"SOCKET_TIMEOUT": 1, "SOCKET_CONNECT_TIMEOUT": 1}}, []),
        ({"BACKEND": "django_redis.cache.RedisCache",
          "OPTIONS": {"CONNECTION_POOL_KWARGS": {"socket_timeout": 1}}}, ["W013"]),
        ({"BACKEND": PYMEMCACHE}, ["W013"]),
        ({"BACKEND": PYMEMCACHE, "OPTIONS": {"timeout": 1, "connect_timeout": 1}}, []),
    ],
)  # fmt: skip
def test_deploy_when_a_cache_may_hold_a_request_then_w013(change_setting, cache, expected):
    change_setting("CACHES", {"default": cache})

    assert numbers(checks.timeouts.check_cache()) == expected


@pytest.mark.parametrize(
    ("entry", "asgi", "expected"),
    [
        ({"CONN_MAX_AGE": None}, "site.asgi.application", ["W014"]),
        ({"CONN_MAX_AGE": 60}, "site.asgi.application", ["W014"]),
        ({"CONN_MAX_AGE": 0}, "site.asgi.application", []),
        ({}, "site.asgi.application", []),
        ({"CONN_MAX_AGE": None}, None, []),
        ({"CONN_MAX_AGE": None, "ENGINE": SQLITE}, "site.asgi.application", []),
    ],
)
def test_deploy_when_threads_keep_connections_under_asgi_then_w014(
    database, settings, entry, asgi, expected
):
    database(**{"ENGINE": POSTGRESQL, **entry})
    settings.ASGI_APPLICATION = asgi

    assert numbers(checks.timeouts.check_persistent_connections()) == expected
