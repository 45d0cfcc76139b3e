import pytest
from django.core.exceptions import ImproperlyConfigured

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
        "OPTIONS": {"sslmode": "require", "application_name": "x"},
    }


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
