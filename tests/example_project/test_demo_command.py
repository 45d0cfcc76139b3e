"""`manage.py demo` without servers: when it cannot run, when a step fails, how it ends."""

import os
import signal
import socket
from contextlib import contextmanager
from io import StringIO
from types import SimpleNamespace

import pytest
import requests
from django.core.management import CommandError, call_command
from django.db import OperationalError

from example_project.demo import servers
from example_project.demo.steps import expect
from example_project.management.commands import demo

OPTIONS = ("--port", "--service-a-port", "--service-b-port")


def run_demo(*arguments):
    free = [f"{name}={port}" for name, port in zip(OPTIONS, servers.free_ports(3), strict=True)]
    out = StringIO()
    try:
        call_command("demo", *free, *arguments, stdout=out)
    except SystemExit as end:
        return end.code, out.getvalue()
    return 0, out.getvalue()


def succeed(_scene):
    """It begins."""
    return "well"


def fail(_scene):
    """It fails."""
    expect("the status", 200, 401)


def interrupt(*_arguments):
    raise KeyboardInterrupt


@pytest.fixture
def stage(monkeypatch, settings):
    """Replace steps and servers of the command."""
    settings.DEBUG = True
    known = {"username": "alice", "password": "secret"}
    client = {"client_id": "web", "client_secret": "secret", "redirect_uris": []}
    world = {
        "users": {"alice": known, "operator": known},
        "clients": dict.fromkeys(("web", "cron"), client),
    }

    def replace(*steps, wait=interrupt, require_running=lambda: None):
        @contextmanager
        def running(ports, _world):
            yield SimpleNamespace(
                issuer=f"http://127.0.0.1:{ports[0]}",
                services={"service_a": "http://127.0.0.1:1", "service_b": "http://127.0.0.1:2"},
                servers=[SimpleNamespace(log="server.log")],
                wait=wait,
                require_running=require_running,
            )

        monkeypatch.setattr(demo.servers, "running", running)
        monkeypatch.setattr(demo, "STORY", steps)

    monkeypatch.setattr(demo.seed, "make", lambda: world)
    monkeypatch.setattr(demo, "call_command", lambda *_, **__: None)
    monkeypatch.setattr(demo.connections, "close_all", lambda: None)
    replace(succeed)
    return replace


# When it cannot run


@pytest.mark.parametrize("option", OPTIONS)
def test_port_in_use_is_named_with_its_option(settings, option):
    settings.DEBUG = True
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CommandError, match=f"Port {port} cannot be used .* {option}"):
            run_demo("--no-serve", option, str(port))


def test_invalid_and_repeated_ports_are_refused(settings):
    settings.DEBUG = True
    with pytest.raises(CommandError, match="Port 99999 cannot be used"):
        run_demo("--port", "99999")
    port = str(servers.free_ports(1)[0])
    with pytest.raises(CommandError, match="Three servers need three ports"):
        run_demo("--port", port, "--service-b-port", port)


def test_production_is_refused():
    with pytest.raises(CommandError, match="set DJANGO_DEBUG=1"):
        run_demo("--no-serve")


def test_unreachable_database_is_reported(stage, monkeypatch):
    def unreachable(*_args, **_kwargs):
        raise OperationalError("connection refused")

    monkeypatch.setattr(demo, "call_command", unreachable)
    with pytest.raises(CommandError, match="connection refused"):
        run_demo("--no-serve")


def test_end_of_the_log_of_a_server_that_ended_is_reported(stage):
    def ended():
        raise servers.NotRunning("The service B has ended.\nThe end of b.log:\nout of luck")

    stage(fail, require_running=ended)
    with pytest.raises(CommandError, match="out of luck"):
        run_demo("--no-serve")


# When a step fails, and how it ends


@pytest.mark.parametrize("arguments", [("--no-serve",), ()])
def test_failed_step_ends_the_story_with_1(stage, arguments):
    stage(succeed, fail, succeed)
    code, shown = run_demo(*arguments)
    assert code == 1
    assert " 1. It begins\n    ✓ well\n\n 2. It fails\n    ✗ the status\n" in shown
    assert "\n      expected  401\n      got       200\n" in shown
    assert " 3." not in shown
    assert "The story ended early." in shown
    assert ("Admin" in shown) == (not arguments)


@pytest.mark.parametrize(
    "error", [requests.ConnectionError("refused"), KeyError("access_token"), ValueError("no JSON")]
)
def test_error_of_a_server_ends_the_story_with_1(stage, error):
    def broken(_scene):
        raise error

    stage(broken)
    code, shown = run_demo("--no-serve")
    assert code == 1
    assert repr(error) in shown


def test_success_ends_with_0(stage):
    assert run_demo("--no-serve")[0] == 0


def test_interruption_ends_with_130_and_no_traceback(stage):
    stage(interrupt)
    code, shown = run_demo("--no-serve")
    assert code == 130
    assert shown.endswith("Stopped before the end.\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_while_serving_ends_with_0(stage, number):
    def wait():
        os.kill(os.getpid(), number)
        raise AssertionError("it continued")

    before = signal.getsignal(number)
    stage(succeed, wait=wait)
    code, shown = run_demo()
    assert code == 0
    assert shown.endswith("\nStopped.\n")
    assert signal.getsignal(number) == before
