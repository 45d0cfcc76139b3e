"""`manage.py demo` as a process: the whole story on three servers."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from example_project.demo import servers
from example_project.demo.onward import MAX_SECONDS
from example_project.demo.story import STORY

pytestmark = [pytest.mark.slow, pytest.mark.any_database]

ROOT = Path(__file__).resolve().parents[2]
OPTIONS = ("--port", "--service-a-port", "--service-b-port")


def start(directory, ports, *arguments):
    own = ("DJANGO_", "DELEGATION_", "DATABASE_", "DEMO_", "COV_", "REDIS_")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(own)}
    database = f"sqlite:///{directory / 'own.sqlite3'}"
    chosen = [f"{name}={port}" for name, port in zip(OPTIONS, ports, strict=True)]
    return subprocess.Popen(
        [sys.executable, "manage.py", "demo", *chosen, *arguments],
        cwd=ROOT,
        env=clean | {"DEMO_DIR": str(directory / "demo"), "DATABASE_URL": database},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def read_until(process, text):
    lines = []
    for line in process.stdout:
        lines.append(line)
        if text in line:
            break
    return "".join(lines)


def assert_free(ports):
    servers.require_free(dict(zip(OPTIONS, ports, strict=True)))


def test_demo_runs_twice_then_serves_until_interrupted(tmp_path):
    ports = servers.free_ports(3)
    with start(tmp_path, ports, "--no-serve") as process:
        text, errors = process.communicate(timeout=240)
    assert process.returncode == 0, text + errors
    assert errors == ""
    assert_story(text, ports)
    assert_no_secret(text, tmp_path)

    ports = servers.free_ports(3)
    with start(tmp_path, ports) as process:
        text = read_until(process, "Ctrl-C")
        assert_story(text, ports)
        admin = f"http://127.0.0.1:{ports[0]}/admin/"
        assert re.search(rf"Admin +{admin}\n +user operator, password \w", text)
        assert requests.get(f"{admin}login/", timeout=10).ok
        assert_are_services(ports)
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=60)
    assert (process.returncode, rest.strip(), errors) == (0, "Stopped.", "")
    assert_free(ports)


def test_demo_ends_its_servers_when_it_is_terminated(tmp_path):
    ports = servers.free_ports(3)
    with start(tmp_path, ports, "--no-serve") as process:
        read_until(process, " 2. ")
        assert requests.get(f"http://127.0.0.1:{ports[2]}/", timeout=10).status_code == 404
        process.send_signal(signal.SIGTERM)
        rest, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, "")
    assert rest.endswith("Stopped before the end.\n")
    assert_free(ports)


SHOWN = (
    "→ GET /oauth/authorize?response_type=code&client_id=web",
    "→ POST /accounts/login/",
    "→ POST /oauth/authorize",
    "→ POST /oauth/token",
    "→ GET {a}/api/metrics",
    "→ POST {a}/api/alerts",
    "→ GET {a}/api/report",
    "grant_type=urn:ietf:params:oauth:grant-type:token-exchange",
    "→ GET {b}/service-b/metrics",
    "→ GET /service-c/metrics",
    "→ POST /oauth/introspect",
    '{"active": false}',
    'act {"sub": "client:service_b", "client_id": "service_b", "act": {"sub":',
    "service_b service_a for user:",
    "actor client:service_b earlier actors client:service_a",
    "└─ service_a revoked read:metrics",
    "└─ service_b revoked read:metrics",
    '"hop": "service_a -> service_b", "step": "exchange"',
    "→ POST /oauth/device_authorization",
    '"error": "authorization_pending"',
    "Page: The device is connected",
    '"required": ["write:alerts"], "provided": ["read:metrics"]',
    "reason=Alice has lost her laptop",
    'Bearer realm="service-a", error="invalid_token"',
    '"error": "invalid_grant"',
    "reason=Service A calls service B too often",
    'Bearer realm="service-b", error="invalid_token"',
    'Bearer realm="service-c", error="invalid_token"',
    "Child delegation created",
    "Token exchanged",
    "Delegation revoked",
    "Every step succeeded.",
)


def assert_story(text, ports):
    assert text.count("✓") == len(STORY)
    a, b = (f"http://127.0.0.1:{port}" for port in ports[1:])
    words = " ".join(text.split())
    for line in SHOWN:
        assert line.replace("{a}", a).replace("{b}", b) in words, line
    waited = re.findall(r"refused after (\d+\.\d) seconds", text)
    assert len(waited) == 2
    assert all(float(seconds) <= MAX_SECONDS + 1 for seconds in waited)
    assert not {"✗", "\x1b", "\r"} & set(text)
    revoked = re.search(r"\?q=([0-9a-f-]{36})", text)[1]
    assert re.search(rf"delegation_id +{revoked}", text)


def assert_no_secret(text, directory):
    stored = (directory / "demo" / "credentials.json").read_text()
    secrets = re.findall(r'": "([A-Za-z0-9]{20,})"', stored)
    assert len(secrets) == 9
    assert not any(secret in text for secret in secrets)
    assert not re.search(r"eyJ[A-Za-z0-9_-]{20}", text)
    # No token, code or secret of a request or an answer is longer than this.
    names = "access_token|refresh_token|subject_token|device_code|client_secret|code|token"
    shown = re.findall(rf'(?<![a-z_])"?(?:{names})(?:": "|=)([^"\s&]*)', text)
    assert len(shown) > 20
    assert all(len(value) <= 7 and value.endswith("…") for value in shown)


def assert_are_services(ports):
    for port, name in zip(ports[1:], ("service-a", "service-b"), strict=True):
        origin = f"http://127.0.0.1:{port}"
        metadata = requests.get(f"{origin}/.well-known/oauth-protected-resource", timeout=10).json()
        assert metadata["resource"] == f"https://{name}.example.com"
        assert metadata["authorization_servers"] == [f"http://127.0.0.1:{ports[0]}"]
        # Nothing of the authorization server is there
        for path in ("/admin/", "/oauth/token", "/service-c/metrics"):
            assert requests.get(f"{origin}{path}", timeout=10).status_code == 404
