"""A service as a process of its own: what it has, what it lacks, and how it refuses to start."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from example_project.demo import servers

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = "example_project.service_settings"
SECRET = "long and random enough for anybody"
SERVICE_A = {"DEMO_SERVICE": "service_a", "DEMO_CLIENT_SECRET": SECRET}


def environment(directory, **own):
    prefixes = ("DJANGO_", "DELEGATION_", "DATABASE_", "DEMO_", "COV_", "REDIS_")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(prefixes)}
    return clean | {"DJANGO_SETTINGS_MODULE": SETTINGS, "DEMO_DIR": str(directory), **own}


def run(directory, *arguments, **own):
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=environment(directory, **own),
        capture_output=True,
        text=True,
        check=False,
    )


def check(directory, *arguments, **own):
    return run(directory, "manage.py", "check", *arguments, **own)


# What it has


@pytest.mark.parametrize("name", ["service_a", "service_b"])
def test_service_when_checked_then_nothing_is_wrong(tmp_path, name):
    done = check(tmp_path, DEMO_SERVICE=name, DEMO_CLIENT_SECRET=SECRET)
    assert done.returncode == 0, done.stderr
    assert "no issues" in done.stdout
    # It neither needed the directory nor left anything there
    assert list(tmp_path.iterdir()) == []


def test_service_when_deployed_then_nothing_is_wrong(tmp_path):
    done = check(
        tmp_path, "--deploy", "--fail-level", "WARNING", **SERVICE_A,
        DJANGO_DEBUG="0",
        DELEGATION_ISSUER="https://as.example.com",
        DEMO_SERVICE_SITE="https://service-a.example.com",
        DEMO_NEXT_SITE="https://service-b.example.com",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


WHAT_IS_LOADED = """
import json, sys
import django
django.setup()
from django.apps import apps
from django.conf import settings
from django.db import connection
from django.urls import get_resolver
get_resolver().url_patterns
print(json.dumps({
    "apps": [app.name for app in apps.get_app_configs()],
    "models": [str(model) for model in apps.get_models()],
    "engine": connection.settings_dict["ENGINE"],
    "modules": sorted(name for name in sys.modules if name.startswith((
        "delegation_app.models", "delegation_app.services", "delegation_app.views",
        "oauth2_provider", "django.contrib.auth.models", "django.contrib.sessions",
    ))),
    "user": settings.REST_FRAMEWORK["UNAUTHENTICATED_USER"],
}))
"""


@pytest.mark.parametrize("name", ["service_a", "service_b"])
def test_service_when_loaded_then_it_has_no_database_and_nothing_of_the_server(tmp_path, name):
    done = run(tmp_path, "-c", WHAT_IS_LOADED, DEMO_SERVICE=name, DEMO_CLIENT_SECRET=SECRET)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "apps": ["rest_framework", "delegation_app.resource_server"],
        "models": [],
        "engine": "django.db.backends.dummy",
        "modules": [],
        "user": None,
    }


def test_service_when_its_secret_is_in_the_demo_s_file_then_it_is_found_there(tmp_path):
    known = {"users": {}, "clients": {"service_a": "from the file, long enough"}}
    (tmp_path / "credentials.json").write_text(json.dumps(known))
    show = (
        "from django.conf import settings; "
        "print(settings.DELEGATION_RESOURCE_SERVER['CLIENT_SECRET'], settings.SERVICE_SITES)"
    )
    done = run(tmp_path, "-c", show, DEMO_SERVICE="service_a")
    assert (
        done.stdout.strip() == "from the file, long enough {'service_b': 'http://127.0.0.1:8002'}"
    )


# How it refuses to start


@pytest.mark.parametrize(
    ("own", "why"),
    [
        ({}, '"DEMO_SERVICE" not set'),
        ({"DEMO_SERVICE": "service_c"}, "must be service_a or service_b, not 'service_c'"),
        ({"DEMO_SERVICE": "service_a"}, "no DEMO_CLIENT_SECRET: run manage.py seed_demo"),
        (SERVICE_A | {"DJANGO_DEBUG": "0"}, '"DELEGATION_ISSUER" not set'),
        (
            SERVICE_A | {"DJANGO_DEBUG": "0", "DELEGATION_ISSUER": "https://as.example.com"},
            '"DEMO_SERVICE_SITE" not set',
        ),
    ],
)
def test_service_when_something_is_missing_then_it_does_not_start(tmp_path, own, why):
    done = check(tmp_path, **own)
    assert done.returncode != 0
    assert why in done.stderr


# Without an authorization server


@pytest.fixture
def alone(tmp_path, settings):
    """Service A, whose authorization server does not answer."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        nobody = f"http://127.0.0.1:{closed.getsockname()[1]}"
    own = environment(tmp_path, **SERVICE_A, DELEGATION_ISSUER=nobody)
    settings.LOCAL_DIR = tmp_path
    service = servers.Server("service A", servers.free_ports(1)[0], own)
    try:
        service.wait_until_ready("/")
        yield service.address
    finally:
        service.stop()


@pytest.mark.conformance("RS-07")
def test_service_when_the_server_is_down_then_it_fails_closed_and_says_so(alone, handed):
    def get(token=None):
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return requests.get(f"{alone}/api/metrics", headers=headers, timeout=20)

    answer = get(handed.tokens[0])
    assert answer.status_code == 503
    assert answer.json()["error"] == "temporarily_unavailable"
    assert int(answer.headers["Retry-After"]) > 0
    assert "WWW-Authenticate" not in answer.headers
    assert answer.headers["Cache-Control"] == "no-store"
    # Whoever brings none is still asked for one, and told where to get it
    asked = get()
    assert asked.status_code == 401
    assert asked.headers["WWW-Authenticate"] == (
        'Bearer realm="service-a", scope="read:metrics", '
        'resource_metadata="http://127.0.0.1:8001/.well-known/oauth-protected-resource"'
    )
