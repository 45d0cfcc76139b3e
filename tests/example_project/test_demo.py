"""`manage.py demo`: the real thing, and not a word too much."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from example_project.demo import server
from example_project.demo.reach import LONGEST
from example_project.demo.story import STORY

ROOT = Path(__file__).resolve().parents[2]


def environment(directory):
    own = ("DJANGO_", "DELEGATION_", "DATABASE_", "DEMO_", "COV_", "REDIS_")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(own)}
    database = f"sqlite:///{directory / 'own.sqlite3'}"
    return clean | {"DEMO_DIR": str(directory / "demo"), "DATABASE_URL": database}


def command(ports, *arguments):
    chosen = zip(("--port", "--service-a-port", "--service-b-port"), map(str, ports), strict=True)
    options = [word for pair in chosen for word in pair]
    return [sys.executable, "manage.py", "demo", *options, *arguments]


# The whole of it


@pytest.mark.slow
def test_demo_when_run_twice_then_all_is_as_told(tmp_path):
    ports = server.free_ports(3)
    done = subprocess.run(
        command(ports, "--no-serve"),
        cwd=ROOT,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert_told(done.stdout, ports)
    assert_says_no_secret(done.stdout, tmp_path)
    # A story takes its time, so the second one shows too what comes after it.
    assert_serves_until_interrupted(tmp_path)


@pytest.mark.slow
def test_demo_when_told_to_end_in_the_story_then_all_three_servers_end_with_it(tmp_path):
    ports = server.free_ports(3)
    with subprocess.Popen(
        command(ports, "--no-serve"),
        cwd=ROOT,
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        for line in process.stdout:
            if line.startswith(" 2."):
                break
        assert requests.get(f"http://127.0.0.1:{ports[2]}/", timeout=10).status_code == 404
        process.send_signal(signal.SIGTERM)
        rest, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert rest.endswith("Stopped before the end.\n")
    assert errors == ""
    for port in ports:
        server.require_free(port, "--port")


TOLD = (
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
    'act            {"sub": "client:service_b", "client_id": "service_b", "act": {"sub":',
    "service_b  service_a for user:",
    "acts now      client:service_b\n      acted before  client:service_a",
    "└─ service_a     revoked  read:metrics",
    "   └─ service_b  revoked  read:metrics",
    '"hop": "service_a -> service_b", "step": "exchange"',
    "→ POST /oauth/device_authorization",
    '"error": "authorization_pending"',
    "a page: The device is connected",
    '"required": ["write:alerts"], "provided": ["read:metrics"]',
    "reason=Alice has lost her laptop",
    'Bearer realm="service-a", error="invalid_token"',
    '"error": "invalid_grant"',
    "reason=Service A asks too much of service B",
    'Bearer realm="service-b", error="invalid_token"',
    'Bearer realm="service-c", error="invalid_token"',
    "Child delegation created",
    "Token exchanged",
    "Delegation revoked",
    "Everything was as told.",
)


def assert_told(text, ports):
    assert text.count("✓") == len(STORY)
    a, b = (f"http://127.0.0.1:{port}" for port in ports[1:])
    for line in TOLD:
        assert line.replace("{a}", a).replace("{b}", b) in text
    waited = re.findall(r"refused (?:after )?(\d+\.\d) seconds", text)
    assert len(waited) == 2
    # A list every five seconds at the most, looked at once a second, on a machine that is busy
    assert all(float(seconds) <= LONGEST + 1 for seconds in waited)
    assert "✗" not in text
    assert "\x1b" not in text
    assert "\r" not in text
    revoked = re.search(r"\?q=([0-9a-f-]{36})", text)[1]
    assert re.search(rf"delegation_id +{revoked}", text)


def assert_says_no_secret(text, directory):
    stored = (directory / "demo" / "credentials.json").read_text()
    secrets = re.findall(r'": "([A-Za-z0-9]{20,})"', stored)
    assert len(secrets) == 9
    assert not any(secret in text for secret in secrets)
    assert not re.search(r"eyJ[A-Za-z0-9_-]{20}", text)
    # Nothing that was sent or answered as a token, a code or a secret is longer than this.
    names = "access_token|refresh_token|subject_token|device_code|client_secret|code|token"
    shown = re.findall(rf'(?<![a-z_])"?(?:{names})(?:": "|=)([^"\s&]*)', text)
    assert len(shown) > 20
    assert all(len(value) <= 7 and value.endswith("…") for value in shown)


def assert_serves_until_interrupted(directory):
    ports = server.free_ports(3)
    with subprocess.Popen(
        command(ports),
        cwd=ROOT,
        env=environment(directory),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        said = []
        for line in process.stdout:
            said.append(line)
            if "Ctrl-C" in line:
                break
        text = "".join(said)
        assert_told(text, ports)
        assert re.search(
            rf"Admin +http://127.0.0.1:{ports[0]}/admin/\n +user operator, password \w", text
        )
        assert requests.get(f"http://127.0.0.1:{ports[0]}/admin/login/", timeout=10).ok
        assert_are_services(ports)
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    assert rest.strip() == "Stopped."
    assert errors == ""
    for port in ports:
        server.require_free(port, "--port")


def assert_are_services(ports):
    for port, name in zip(ports[1:], ("service-a", "service-b"), strict=True):
        place = f"http://127.0.0.1:{port}/.well-known/oauth-protected-resource"
        told = requests.get(place, timeout=10).json()
        assert told["resource"] == f"https://{name}.example.com"
        assert told["authorization_servers"] == [f"http://127.0.0.1:{ports[0]}"]
        # It has nothing else: no admin, no authorization server
        for path in ("/admin/", "/oauth/token", "/service-c/metrics"):
            assert requests.get(f"http://127.0.0.1:{port}{path}", timeout=10).status_code == 404
