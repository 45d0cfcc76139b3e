import socket
import time

import pytest

from delegation_app.client.http import deadline


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


@pytest.fixture
def in_five_seconds():
    token = deadline._give_up.set(time.monotonic() + 5)
    yield
    deadline._give_up.reset(token)


def read(pair, limit):
    ours, theirs = pair
    ours.settimeout(limit)
    theirs.sendall(b"x")
    reading = deadline._TimedSocket(ours)
    buffer = bytearray(1)
    assert reading.readinto(buffer) == 1
    reading.close()
    return ours.gettimeout()


@pytest.mark.parametrize("limit", [30, None])
def test_read_when_less_time_is_left_than_a_read_may_take_then_that_is_its_limit(
    pair, in_five_seconds, limit
):
    assert 0 < read(pair, limit) <= 5


def test_read_when_a_read_may_take_less_than_is_left_then_its_own_limit_holds(
    pair, in_five_seconds
):
    assert read(pair, 0.25) == 0.25


def test_read_when_the_time_is_up_then_nothing_is_read(pair):
    ours, theirs = pair
    theirs.sendall(b"x")
    token = deadline._give_up.set(time.monotonic())
    reading = deadline._TimedSocket(ours)
    deadline._give_up.reset(token)

    with pytest.raises(TimeoutError):
        reading.readinto(bytearray(1))
    reading.close()
