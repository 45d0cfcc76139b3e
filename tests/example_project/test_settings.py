"""Settings, as a process with a given environment reads them."""

import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.db import ConnectionHandler, connection

from example_project import database_url, environment

ROOT = Path(__file__).resolve().parents[2]
PRODUCTION = {
    "DJANGO_DEBUG": "0",
    "DJANGO_SECRET_KEY": "".join(chr(33 + (7 * i) % 90) for i in range(60)),
    "DELEGATION_ISSUER": "https://as.example.com",
    "DATABASE_URL": "postgres://app@db.example.com/tokens",
}


def manage(*arguments, **own):
    prefixes = ("DJANGO_", "DELEGATION_", "DATABASE_", "COV_")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(prefixes)}
    command = [sys.executable, "manage.py", *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=clean | own, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
@pytest.mark.parametrize("missing", ["DJANGO_SECRET_KEY", "DELEGATION_ISSUER"])
def test_production_does_not_start_without(missing):
    own = {name: value for name, value in PRODUCTION.items() if name != missing}
    result = manage("check", **own)
    assert result.returncode != 0
    assert f'"{missing}" not set' in result.stderr


VALUES = """
from django.conf import settings
print(settings.ALLOWED_HOSTS, settings.SECURE_PROXY_SSL_HEADER)
print(settings.DELEGATION["TRUSTED_PROXIES"], settings.DATABASES["default"]["OPTIONS"]["pool"])
"""
POOL = "{'min_size': 1, 'max_size': 8, 'timeout': 5}"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ({}, f"['as.example.com'] None\n[] {POOL}\n"),
        (
            {
                "DJANGO_ALLOWED_HOSTS": "a.example.com, b.example.com",
                "DJANGO_TRUST_PROXY_PROTO": "1",
                "DJANGO_TRUSTED_PROXIES": "unix, 10.0.0.0/8",
            },
            (
                "['a.example.com', 'b.example.com'] ('HTTP_X_FORWARDED_PROTO', 'https')\n"
                f"['unix', '10.0.0.0/8'] {POOL}\n"
            ),
        ),
    ],
)
def test_production_reads_hosts_and_proxies_and_keeps_connections(own, expected):
    result = manage("shell", "--no-imports", "-c", VALUES, **PRODUCTION, **own)
    assert result.returncode == 0, result.stderr
    assert result.stdout == expected


@pytest.mark.slow
@pytest.mark.parametrize("trusted", ["", "127.0.0.1"])
def test_check_finds_a_proxy_that_is_trusted_for_https_alone(trusted):
    own = {
        "REDIS_URL": "redis://127.0.0.1:1",
        "DJANGO_TRUST_PROXY_PROTO": "1",
        "DJANGO_TRUSTED_PROXIES": trusted,
    }
    result = manage("check", "--tag", "security", **PRODUCTION, **own)
    assert result.returncode == 0, result.stderr
    assert ("delegation_app.W021" in result.stderr) == (not trusted)


@pytest.mark.slow
def test_production_passes_the_deployment_checks():
    own = {"REDIS_URL": "redis://cache.example.com/0"}
    # The app's checks name each missing timeout
    result = manage("check", "--deploy", "--fail-level", "WARNING", **PRODUCTION, **own)
    assert result.returncode == 0, result.stderr


# The secret key of a development machine


def test_local_key_is_generated_once_for_its_owner_only(tmp_path):
    path = tmp_path / "made" / "secret_key"
    key = environment.local_secret_key(path)
    assert len(key) >= 50
    assert environment.local_secret_key(path) == key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_processes_that_start_together_agree_on_the_key(tmp_path):
    for round_number in range(20):
        path = tmp_path / str(round_number) / "secret_key"
        with ThreadPoolExecutor(8) as pool:
            keys = set(pool.map(environment.local_secret_key, [path] * 8))
        assert len(keys) == 1


# DATABASE_URL


def test_postgres_url_keeps_the_timeouts_beside_its_own_options():
    url = "postgres://app:p%40ss%2Fword@db.example.com:6432/tokens?sslmode=require"
    entry = database_url.parse(url)
    assert (entry["ENGINE"], entry["NAME"]) == ("django.db.backends.postgresql", "tokens")
    assert (entry["USER"], entry["PASSWORD"]) == ("app", "p@ss/word")
    assert (entry["HOST"], entry["PORT"]) == ("db.example.com", 6432)
    assert entry["OPTIONS"] == {
        **database_url.POSTGRES_OPTIONS,
        "options": database_url.POSTGRES_SESSION,
        "sslmode": "require",
    }


def test_postgres_url_may_override_the_timeouts():
    options = database_url.parse(
        "postgres://db.example.com/tokens?connect_timeout=30&options=-c%20statement_timeout%3D0"
    )["OPTIONS"]
    assert options["connect_timeout"] == 30
    assert options["options"].endswith("=30s -c statement_timeout=0")


@pytest.mark.parametrize("path", ["relative/db.sqlite3", "/absolute/with space.sqlite3"])
def test_sqlite_url_waits_for_the_write_lock_and_is_durable(path):
    entry = database_url.parse(f"sqlite:///{path.replace(' ', '%20')}", pool=True)
    assert entry["NAME"] == path
    assert entry["OPTIONS"]["transaction_mode"] == "IMMEDIATE"
    assert "journal_mode=WAL" in entry["OPTIONS"]["init_command"]
    assert "synchronous=FULL" in entry["OPTIONS"]["init_command"]


@pytest.mark.parametrize("url", ["unknown://app:hunter2@db/x", "postgres://app:hunter2@db:port/x"])
def test_invalid_url_is_refused_without_its_password(url):
    with pytest.raises(ValueError, match=r"not a valid url|is unknown") as refusal:
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
def test_postgresql_session_has_timeouts(name, value):
    with connection.cursor() as cursor:
        cursor.execute(f"SHOW {name}")
        assert cursor.fetchone() == (value,)


@pytest.mark.postgresql
@pytest.mark.django_db
def test_threads_share_postgresql_connections():
    entry = database_url.parse(os.environ["TEST_DATABASE_URL"], pool=True)
    handler = ConnectionHandler({"default": {}, "pooled": entry})

    def process_id():
        with handler["pooled"].cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            found = cursor.fetchone()
        handler["pooled"].close()
        return found

    ids = set()
    for _request in range(5):
        with ThreadPoolExecutor(1) as thread:
            ids.add(thread.submit(process_id).result())
    handler["pooled"].close_pool()
    # The pool may open a second one while the first is being made
    assert len(ids) <= 2
