import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connection

from example_project import database_url


def test_a_full_postgres_url():
    assert database_url.parse(
        "postgres://app:p%40ss%2Fword@db.example.com:6432/tokens?sslmode=require&application_name=x"
    ) == {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "tokens",
        "USER": "app",
        "PASSWORD": "p@ss/word",
        "HOST": "db.example.com",
        "PORT": "6432",
        "OPTIONS": {
            **database_url.POSTGRES_OPTIONS,
            "options": database_url.POSTGRES_SESSION,
            "sslmode": "require",
            "application_name": "x",
        },
    }


def test_timeouts_when_the_url_has_its_own_then_those_count():
    entry = database_url.parse(
        "postgres://db.example.com/tokens?connect_timeout=30&options=-c%20statement_timeout%3D0"
    )
    assert entry["OPTIONS"]["connect_timeout"] == "30"
    assert entry["OPTIONS"]["options"].endswith("=30s -c statement_timeout=0")


def test_a_short_postgres_url():
    entry = database_url.parse("postgresql:///tokens")
    assert (entry["NAME"], entry["HOST"], entry["PORT"], entry["USER"]) == ("tokens", "", "", "")


def test_an_ipv6_host():
    assert database_url.parse("postgres://[::1]:5432/tokens")["HOST"] == "::1"


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("sqlite:///relative/db.sqlite3", "relative/db.sqlite3"),
        ("sqlite:////absolute/db.sqlite3", "/absolute/db.sqlite3"),
        ("sqlite:///with%20space.sqlite3", "with space.sqlite3"),
    ],
)
def test_sqlite_urls(url, name):
    assert database_url.parse(url)["NAME"] == name


def test_sqlite_waits_for_the_write_lock_and_keeps_what_it_acknowledged():
    options = database_url.parse("sqlite:///db.sqlite3")["OPTIONS"]
    assert options["transaction_mode"] == "IMMEDIATE"
    assert "journal_mode=WAL" in options["init_command"]
    assert "synchronous=FULL" in options["init_command"]


@pytest.mark.parametrize(
    "url",
    [
        "mysql://app:hunter2@db/tokens",
        "db/tokens",
        "postgres://app:hunter2@db",
        "postgres://app:hunter2@db/",
        "postgres://app:hunter2@db:port/tokens",
        "postgres://app:hunter2@db/tokens?sslmode",
        "sqlite://",
        "sqlite:///",
        "sqlite://host/path",
        "sqlite:///path?mode=ro",
    ],
)
def test_a_wrong_url_is_refused_without_repeating_its_password(url):
    with pytest.raises(ImproperlyConfigured) as refusal:
        database_url.parse(url)
    assert "hunter2" not in str(refusal.value)


@pytest.mark.postgresql
@pytest.mark.django_db
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("statement_timeout", "20s"),
        ("lock_timeout", "10s"),
        ("idle_in_transaction_session_timeout", "30s"),
    ],
)
def test_the_server_knows_how_long_a_session_may_wait(name, value):
    with connection.cursor() as cursor:
        cursor.execute(f"SHOW {name}")
        assert cursor.fetchone() == (value,)
