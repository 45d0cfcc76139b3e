"""`manage.py demo` without a server: when it can't run, and when a step is not as told."""

import os
import signal
import socket
from contextlib import contextmanager
from io import StringIO
from types import SimpleNamespace

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError

from example_project.demo import server
from example_project.demo.expectations import expect
from example_project.demo.scene import Step
from example_project.management.commands import demo

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


@pytest.mark.parametrize("option", ["--service-a-port", "--service-b-port"])
def test_demo_when_a_service_s_port_is_taken_then_it_says_which(settings, option):
    settings.DEBUG = True
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CommandError, match=f"Port {port} can't be used .* {option}"):
            call_command(
                "demo", "--no-serve", *all_free(), option, str(port),
                stdout=StringIO(),
            )  # fmt: skip


def test_demo_when_two_ports_are_the_same_then_it_says_so(settings):
    settings.DEBUG = True
    port = str(server.free_ports(1)[0])
    with pytest.raises(CommandError, match="Three servers need three ports"):
        call_command("demo", "--port", port, "--service-b-port", port, stdout=StringIO())


# When a step is not as told


def surprised(_scene):
    expect("the status", 200, 401)


@pytest.fixture
def stage(monkeypatch, settings):
    """The command without a server and a database."""
    settings.DEBUG = True

    def no_wait():
        raise KeyboardInterrupt

    known = {"username": "somebody", "password": "secret"}
    client = {"client_id": "somebody", "client_secret": "secret"}
    world = {
        "users": {"alice": known, "operator": known},
        "clients": dict.fromkeys(("web", "cron", "tv"), client),
    }
    monkeypatch.setattr(demo.site, "running", pretended(no_wait))
    monkeypatch.setattr(demo.seed, "make", lambda: world)
    monkeypatch.setattr(demo, "call_command", lambda *_, **__: None)
    monkeypatch.setattr(demo.connections, "close_all", lambda: None)
    return monkeypatch


def pretended(wait, require_running=lambda: None):
    """What `site.running` returns, without a server."""

    @contextmanager
    def running(ports, _world):
        yield SimpleNamespace(
            issuer=f"http://127.0.0.1:{ports.server}",
            services={"service_a": "http://127.0.0.1:1", "service_b": "http://127.0.0.1:2"},
            servers=[SimpleNamespace(log="server.log"), SimpleNamespace(log="service_a.log")],
            wait=wait,
            require_running=require_running,
        )

    return running


def all_free():
    options = ("--port", "--service-a-port", "--service-b-port")
    return [f"{name}={port}" for name, port in zip(options, server.free_ports(3), strict=True)]


def run_demo(*arguments):
    out = StringIO()
    try:
        call_command("demo", *all_free(), *arguments, stdout=out)
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


def test_demo_when_a_server_died_in_the_story_then_the_end_of_its_log_is_told(stage):
    def died():
        raise server.NotRunning("The service B has ended.\nThe end of b.log:\nout of luck")

    stage.setattr(demo.site, "running", pretended(None, died))
    stage.setattr(demo, "STORY", (Step("It begins", surprised),))
    with pytest.raises(CommandError, match="out of luck"):
        run_demo("--no-serve")


def test_demo_when_interrupted_in_the_story_then_it_ends_without_a_traceback(stage):
    def interrupt(_scene):
        raise KeyboardInterrupt

    stage.setattr(demo, "STORY", (Step("It begins", interrupt),))
    code, said = run_demo("--no-serve")
    assert code == 130
    assert said.endswith("Stopped before the end.\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_demo_when_told_to_stop_while_it_serves_then_it_ends_well(stage, number):
    def wait():
        os.kill(os.getpid(), number)
        raise AssertionError("it went on")

    before = signal.getsignal(number)
    stage.setattr(demo.site, "running", pretended(wait))
    stage.setattr(demo, "STORY", (Step("It begins", lambda _: "well"),))
    code, said = run_demo()
    assert code == 0
    assert said.endswith("\nStopped.\n")
    assert signal.getsignal(number) == before
