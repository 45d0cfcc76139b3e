"""The database's clock, as a process measures it. The database is made up here, so any will do."""

import logging
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from unittest import mock

import pytest

from delegation_app import clock
from delegation_app.checks.clocks import check_clock

pytestmark = pytest.mark.any_database

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Machine:
    """A machine whose clock is off, and the way to its database."""

    vendor, alias = "postgresql", "default"

    def __init__(self, off=0.0, way=0.001):
        self.off, self.way = off, way
        self.true, self.steady, self.asked, self.broken = START.timestamp(), 5000.0, 0, False
        self.connection = self

    def wall(self):
        return self.true + self.off

    def now(self):
        return datetime.fromtimestamp(self.wall(), UTC)

    def forward(self, seconds):
        self.true += seconds
        self.steady += seconds

    @contextmanager
    def cursor(self):
        yield self

    def execute(self, _sql):
        self.asked += 1
        if self.broken:
            raise RuntimeError("the connection is closed")
        self.forward(self.way / 2)
        self.told = self.true
        self.forward(self.way / 2)

    def fetchone(self):
        return (self.told,)

    def is_right(self):
        return abs(clock.now().timestamp() - self.true) <= 0.15


@pytest.fixture
def machine(monkeypatch):
    made = Machine()
    monkeypatch.setattr(clock, "_wall", made.wall)
    monkeypatch.setattr(clock, "_steady", lambda: made.steady)
    monkeypatch.setattr(clock, "_alias", lambda: "default")
    monkeypatch.setattr(clock, "connections", {"default": made})
    with mock.patch("django.utils.timezone.now", made.now):
        yield made


@pytest.mark.parametrize("off", [-7200, -60, -10, -0.2, 0, 0.2, 10, 60, 7200])
def test_now_when_the_machine_is_off_then_it_is_the_databases_time(machine, off):
    machine.off = off
    clock.on_connection(machine)
    assert machine.is_right()
    assert abs(clock.drift() + timedelta(seconds=off)) < timedelta(milliseconds=1)


def test_now_when_the_difference_is_the_way_there_then_the_machines_own_clock_is_kept(machine):
    machine.off, machine.way = 0.05, 0.08
    clock.on_connection(machine)
    assert clock.drift() == timedelta(0)
    assert clock.now() == machine.now()


def test_now_when_there_was_no_database_yet_then_it_is_the_machines_time(machine):
    machine.off = 3600
    assert clock.now() == machine.now()
    assert machine.asked == 0


@pytest.mark.parametrize("vendor", ["sqlite", "mysql"])
def test_now_when_the_database_has_no_clock_that_is_known_then_nothing_is_asked(machine, vendor):
    machine.vendor = vendor
    clock.on_connection(machine)
    assert (machine.asked, clock.drift()) == (0, timedelta(0))


def test_now_when_the_connection_is_to_another_database_then_nothing_is_asked(machine):
    machine.alias = "reports"
    clock.on_connection(machine)
    assert machine.asked == 0


def test_now_when_called_often_then_the_database_is_asked_every_30_seconds(machine):
    clock.on_connection(machine)
    for _ in range(600):
        clock.now()
        machine.forward(0.1)
    assert machine.asked <= 3


def test_now_when_connections_are_made_often_then_the_database_is_asked_once_a_second(machine):
    for _ in range(50):
        clock.on_connection(machine)
        machine.forward(0.1)
    assert machine.asked <= 6


@pytest.mark.parametrize("jump", [-7200, -5, 5, 7200])
def test_now_when_the_machines_clock_jumps_then_it_is_measured_anew(machine, jump):
    machine.off = 3
    clock.on_connection(machine)
    machine.forward(2)
    machine.off += jump
    assert machine.is_right()
    assert machine.asked == 2


@pytest.mark.parametrize("jump", [-7200, -5, 5, 7200])
def test_now_when_it_jumps_while_no_connection_is_open_then_it_is_still_the_databases_time(
    machine, jump
):
    clock.on_connection(machine)
    machine.forward(2)
    machine.connection, machine.off = None, jump
    for _ in range(3):
        assert machine.is_right()
        machine.forward(20)
    assert machine.asked == 1


@pytest.mark.parametrize("drifts", [0.001, -0.001])
def test_now_when_the_machines_clock_runs_wrong_then_it_never_gets_far(machine, drifts):
    clock.on_connection(machine)
    for _ in range(1000):
        machine.forward(10)
        machine.off += 10 * drifts
        assert abs(clock.now().timestamp() - machine.true) < 0.2


def test_now_when_the_database_fails_then_it_goes_on_with_what_it_knows(machine):
    machine.off = 60
    clock.on_connection(machine)
    machine.broken = True
    machine.forward(31)
    for _ in range(100):
        assert machine.is_right()
    assert machine.asked == 2
    machine.forward(2)
    machine.broken = False
    assert machine.is_right()
    assert machine.asked == 3


@pytest.mark.parametrize("way", [1.5, 30, -10])
def test_now_when_the_answer_takes_too_long_then_it_does_not_count(machine, way):
    machine.off, machine.way = 100, way
    clock.on_connection(machine)
    assert clock.drift() == timedelta(0)


def test_now_when_it_is_measured_in_a_thread_with_a_broken_connection_then_it_does_not_raise(
    machine,
):
    clock.on_connection(machine)
    machine.forward(60)
    machine.cursor = None
    assert clock.now()


@pytest.mark.parametrize(("off", "lines"), [(1.9, 0), (-1.9, 0), (2.1, 1), (-2.1, 1), (-7200, 1)])
def test_log_when_the_machine_is_more_than_two_seconds_off_then_it_says_so_once_a_minute(
    machine, caplog, off, lines
):
    machine.off = off
    with caplog.at_level(logging.WARNING, "delegation_app"):
        for _ in range(5):
            clock.on_connection(machine)
            machine.forward(2)
    assert len(caplog.records) == lines
    if lines:
        assert f"{off:.1f} seconds off" in caplog.text


@pytest.mark.parametrize(("off", "found"), [(1.9, []), (2.1, ["W034"]), (-7200, ["W034"])])
def test_check_when_the_machine_is_more_than_two_seconds_off_then_w034(
    machine, monkeypatch, off, found
):
    machine.off = off
    clock.on_connection(machine)
    opened = SimpleNamespace(ensure_connection=lambda: None)
    monkeypatch.setattr("delegation_app.checks.clocks.connections", {"default": opened})
    said = check_clock(databases=["default"])
    assert [message.id.removeprefix("delegation_app.") for message in said] == found
    assert all(f"{off:+.1f} seconds" in message.msg for message in said)
    assert check_clock(databases=[]) == check_clock() == []
