"""The settings as a process sees them that starts with a given environment."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PRODUCTION = {
    "DJANGO_DEBUG": "0",
    "DJANGO_SECRET_KEY": "".join(chr(33 + (7 * i) % 90) for i in range(60)),
    "DELEGATION_ISSUER": "https://as.example.com",
    "DATABASE_URL": "postgres://app@db.example.com/tokens",
}


def manage(*arguments, **environment):
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("DJANGO_", "DELEGATION_", "DATABASE_", "COV_"))
    }
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=clean | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def value_of(expression, **environment):
    result = manage(
        "shell", "--no-imports", "-c", f"from django.conf import settings; print({expression})",
        **environment,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


@pytest.mark.slow
@pytest.mark.parametrize("missing", ["DJANGO_SECRET_KEY", "DELEGATION_ISSUER"])
def test_production_does_not_start_without(missing):
    environment = {name: value for name, value in PRODUCTION.items() if name != missing}
    result = manage("check", **environment)
    assert result.returncode != 0
    assert f"{missing} is not set" in result.stderr


@pytest.mark.slow
def test_production_listens_to_the_issuer_s_host_unless_told_otherwise():
    assert value_of("settings.ALLOWED_HOSTS", **PRODUCTION) == "['as.example.com']"
    environment = PRODUCTION | {"DJANGO_ALLOWED_HOSTS": "a.example.com, b.example.com"}
    assert value_of("settings.ALLOWED_HOSTS", **environment) == "['a.example.com', 'b.example.com']"


@pytest.mark.slow
def test_a_proxy_is_believed_only_when_told():
    expression = "settings.SECURE_PROXY_SSL_HEADER"
    assert value_of(expression, **PRODUCTION) == "None"
    environment = PRODUCTION | {"DJANGO_TRUST_PROXY_PROTO": "1"}
    assert value_of(expression, **environment) == "('HTTP_X_FORWARDED_PROTO', 'https')"


@pytest.mark.slow
def test_proxies_are_trusted_only_when_named():
    expression = "settings.DELEGATION['TRUSTED_PROXIES']"
    assert value_of(expression, **PRODUCTION) == "[]"
    environment = PRODUCTION | {"DJANGO_TRUSTED_PROXIES": "unix, 10.0.0.0/8"}
    assert value_of(expression, **environment) == "['unix', '10.0.0.0/8']"


@pytest.mark.slow
@pytest.mark.parametrize("trusted", ["", "127.0.0.1"])
def test_a_proxy_that_is_believed_about_https_alone_is_found_by_check(trusted):
    environment = PRODUCTION | {
        "REDIS_URL": "redis://127.0.0.1:1",
        "DJANGO_TRUST_PROXY_PROTO": "1",
        "DJANGO_TRUSTED_PROXIES": trusted,
    }
    result = manage("check", "--tag", "security", **environment)
    assert result.returncode == 0, result.stderr
    assert ("delegation_app.W021" in result.stderr) == (not trusted)


@pytest.mark.slow
def test_production_waits_for_no_database_and_no_cache_without_end():
    environment = PRODUCTION | {"REDIS_URL": "redis://cache.example.com/0"}
    # The app's checks name each timeout that is missing
    result = manage("check", "--deploy", "--fail-level", "WARNING", **environment)
    assert result.returncode == 0, result.stderr
