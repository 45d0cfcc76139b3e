"""`manage.py demo`: the real thing, and what happens when a step is not as told."""

import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import pytest
import requests
from django.core.management import CommandError, call_command
from django.db import OperationalError

from example_project.demo import server
from example_project.demo.expectations import expect
from example_project.demo.scene import Step
from example_project.demo.story import STORY
from example_project.demo.transcript import Transcript
from example_project.management.commands import demo

ROOT = Path(__file__).resolve().parents[2]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def environment(directory):
    own = ("DJANGO_", "DELEGATION_", "DATABASE_", "DEMO_", "COV_", "REDIS_")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(own)}
    database = f"sqlite:///{directory / 'own.sqlite3'}"
    return clean | {"DEMO_DIR": str(directory / "demo"), "DATABASE_URL": database}


def command(port, *arguments):
    return [sys.executable, "manage.py", "demo", "--port", str(port), *arguments]


# The whole of it


@pytest.mark.slow
def test_demo_when_run_twice_then_all_is_as_told(tmp_path):
    for _ in range(2):
        done = subprocess.run(
            command(free_port(), "--no-serve"),
            cwd=ROOT,
            env=environment(tmp_path),
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stderr == ""
        assert_told(done.stdout)
    assert_says_no_secret(done.stdout, tmp_path)


def assert_told(text):
    assert text.count("✓") == len(STORY)
    for line in (
        "→ GET /oauth/authorize?response_type=code&client_id=web",
        "→ POST /accounts/login/",
        "→ POST /oauth/authorize",
        "→ POST /oauth/token",
        "→ GET /api/metrics",
        "→ POST /api/alerts",
        '"required": ["write:alerts"], "provided": ["read:metrics"]',
        "reason=Alice has lost her laptop",
        'Bearer realm="service-a", error="invalid_token"',
        '"error": "invalid_grant"',
        "Delegation revoked",
        "Everything was as told.",
    ):
        assert line in text
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


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_demo_when_it_serves_then_a_signal_ends_it_and_its_server(tmp_path, number):
    port = free_port()
    with subprocess.Popen(
        command(port),
        cwd=ROOT,
        env=environment(tmp_path),
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
        assert re.search(
            rf"Admin +http://127.0.0.1:{port}/admin/\n +user operator, password \w", text
        )
        assert requests.get(f"http://127.0.0.1:{port}/admin/login/", timeout=10).ok
        process.send_signal(number)
        rest, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    assert rest.strip() == "Stopped."
    assert errors == ""
    server.require_free(port)


# When it can't run


def test_demo_when_port_is_taken_then_it_says_so(settings):
    settings.DEBUG = True
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(CommandError, match=f"Port {port} can't be used .* --port"):
            call_command("demo", "--no-serve", "--port", str(port), stdout=StringIO())


def test_demo_when_port_is_no_port_then_it_says_so(settings):
    settings.DEBUG = True
    with pytest.raises(CommandError, match="Port 99999 can't be used"):
        call_command("demo", "--no-serve", "--port", "99999", stdout=StringIO())


def test_demo_when_the_database_does_not_answer_then_it_says_so(stage):
    def fail(*_args, **_kwargs):
        raise OperationalError("connection refused")

    stage.setattr(demo, "call_command", fail)
    with pytest.raises(CommandError, match="connection refused"):
        run_demo("--no-serve")


def test_demo_when_not_in_development_then_it_refuses():
    with pytest.raises(CommandError, match="set DJANGO_DEBUG=1"):
        call_command("demo", "--no-serve", stdout=StringIO())


def test_server_when_it_ends_at_once_then_the_reason_is_told(settings, tmp_path):
    settings.LOCAL_DIR, settings.BASE_DIR = tmp_path, tmp_path
    (tmp_path / "manage.py").write_text("raise SystemExit('no such luck')")
    with (
        pytest.raises(server.NotRunning, match="no such luck"),
        server.running(free_port(), Transcript(StringIO())),
    ):
        pass


# When a step is not as told


def surprised(_scene):
    expect("the status", 200, 401)


@pytest.fixture
def stage(monkeypatch, settings):
    """The command without a server and a database."""
    settings.DEBUG = True

    @contextmanager
    def running(port, _transcript):
        yield SimpleNamespace(issuer=f"http://127.0.0.1:{port}", log="server.log", wait=no_wait)

    def no_wait():
        raise KeyboardInterrupt

    known = {"username": "somebody", "password": "secret"}
    world = {
        "users": {"alice": known, "operator": known},
        "clients": {"web": {}, "cron": {}},
    }
    monkeypatch.setattr(demo.server, "running", running)
    monkeypatch.setattr(demo.seed, "make", lambda: world)
    monkeypatch.setattr(demo, "call_command", lambda *_, **__: None)
    monkeypatch.setattr(demo.connections, "close_all", lambda: None)
    return monkeypatch


def run_demo(*arguments):
    out = StringIO()
    try:
        call_command("demo", "--port", str(free_port()), *arguments, stdout=out)
    except SystemExit as end:
        return end.code, out.getvalue()
    return 0, out.getvalue()


@pytest.mark.parametrize("arguments", [("--no-serve",), ()])
def test_demo_when_a_step_is_not_as_told_then_it_ends_with_1(stage, arguments):
    stage.setattr(demo, "STORY", (Step("It begins", lambda _: "well"), Step("Then", surprised)))
    code, said = run_demo(*arguments)
    assert code == 1
    assert "✓ well" in said
    assert "✗ the status\n      expected  401\n      got       200\n" in said
    assert "The story ended early." in said
    assert ("Admin" in said) == (not arguments)


def test_demo_when_all_is_as_told_then_it_ends_with_0(stage):
    stage.setattr(demo, "STORY", (Step("It begins", lambda _: "well"),))
    assert run_demo("--no-serve")[0] == 0


def test_demo_when_interrupted_in_the_story_then_it_ends_without_a_traceback(stage):
    def interrupt(_scene):
        raise KeyboardInterrupt

    stage.setattr(demo, "STORY", (Step("It begins", interrupt),))
    code, said = run_demo("--no-serve")
    assert code == 130
    assert said.endswith("Stopped before the end.\n")
