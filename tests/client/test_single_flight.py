import contextlib
import itertools
import os
import signal
import threading

import pytest

from delegation_app.client.cache import single_flight
from delegation_app.client.cache.single_flight import Fetched, SingleFlight
from delegation_app.client.errors import (
    InvalidGrantError,
    NoAnswer,
    TemporarilyUnavailableError,
    refused,
)
from tests.client.fakes import crowd

pytestmark = pytest.mark.any_database

CROWD = 32


@pytest.fixture
def kept(time):
    return SingleFlight(max_entries=3, clock=time)


class Source:
    """Gives 1, 2, 3 ...; or raises or waits, as set."""

    def __init__(self, fresh=100.0, lasts=200.0):
        self.calls = 0
        self.error = None
        self.gate = None
        self.started = threading.Event()
        self._life = (fresh, lasts)

    def __call__(self):
        self.calls += 1
        mine = self.calls
        self.started.set()
        if self.gate is not None:
            assert self.gate.wait(30)
        if self.error is not None:
            raise self.error
        return Fetched(mine, *self._life)


def wait_until_all_wait(kept, size):
    """All but the one who fetches stand at the flight."""
    (flight,) = kept._flights.values()
    condition = flight.landed._cond
    while len(condition._waiters) < size - 1:
        flight.landed.wait(0.001)


def test_get_when_a_crowd_comes(kept):
    source = Source()
    source.gate = threading.Event()
    opener = threading.Thread(
        target=lambda: (source.started.wait(), wait_until_all_wait(kept, CROWD), source.gate.set())
    )
    opener.start()

    results = crowd(CROWD, lambda: kept.get("key", source))
    opener.join()

    assert results == [1] * CROWD
    assert source.calls == 1


def test_get_when_the_one_who_fetches_fails(kept):
    source = Source()
    source.gate, source.error = threading.Event(), refused("invalid_grant", "used", status=400)
    opener = threading.Thread(
        target=lambda: (source.started.wait(), wait_until_all_wait(kept, CROWD), source.gate.set())
    )
    opener.start()

    results = crowd(CROWD, lambda: kept.get("key", source))
    opener.join()

    assert source.calls == 1
    assert {type(result) for result in results} == {InvalidGrantError}
    assert {str(result) for result in results} == {"invalid_grant: used"}
    # Tracebacks are written into an error as it is raised, so no two threads share one
    assert len({id(result) for result in results}) == CROWD


def test_get_when_the_one_who_fetches_is_stopped(kept):
    stopped = threading.Event()

    def is_stopped():
        assert stopped.wait(30)
        raise SystemExit

    def first_of_two():
        with contextlib.suppress(SystemExit):
            kept.get("key", is_stopped)

    first = threading.Thread(target=first_of_two)
    first.start()
    while not kept._flights:
        pass
    results = []
    second = threading.Thread(target=lambda: results.append(kept.get("key", Source())))
    second.start()
    wait_until_all_wait(kept, 2)
    stopped.set()
    first.join(30)
    second.join(30)

    assert results == [1]


def test_get_when_the_one_who_fetches_never_comes_back(kept, monkeypatch):
    monkeypatch.setattr(single_flight, "_MAX_WAIT", 0.01)
    # As if its thread had been stopped before it could even start
    kept._flights["key"] = single_flight._Flight()
    assert kept.get("key", Source()) == 1
    assert kept._flights == {}


def test_get_when_another_key_is_being_fetched(kept):
    slow = Source()
    slow.gate = threading.Event()
    thread = threading.Thread(target=lambda: kept.get("slow", slow))
    thread.start()
    slow.started.wait(30)

    assert kept.get("quick", Source()) == 1
    slow.gate.set()
    thread.join()


def test_get_when_it_is_due(kept, time):
    source = Source()
    kept.get("key", source)
    time.forward(100)
    source.gate, source.started = threading.Event(), threading.Event()
    renewed = []
    thread = threading.Thread(target=lambda: renewed.append(kept.get("key", source)))
    thread.start()
    source.started.wait(30)

    # Nobody waits for something that is still good
    assert crowd(CROWD, lambda: kept.get("key", source)) == [1] * CROWD
    source.gate.set()
    thread.join()
    assert renewed == [2]
    assert kept.get("key", source) == 2
    assert source.calls == 2


def test_get_when_it_has_ended(kept, time):
    source = Source()
    kept.get("key", source)
    time.forward(200)
    assert kept.get("key", source) == 2


def test_get_when_it_ends_while_it_is_fetched(kept, time):
    source = Source()

    def slow():
        time.forward(199)
        return source()

    kept.get("key", slow)
    time.forward(1)

    assert kept.get("key", source) == 2


def test_get_when_renewing_fails(kept, time):
    source = Source(lasts=1000.0)
    kept.get("key", source)
    time.forward(100)
    source.error = NoAnswer("nobody there")
    tries = []
    for _ in range(100):
        before = source.calls
        assert kept.get("key", source) == 1
        if source.calls > before:
            tries.append(time())
        time.forward(1)

    pauses = [later - earlier for earlier, later in itertools.pairwise(tries)]
    assert pauses == [2, 4, 8, 16, 30, 30]
    source.error = None
    time.forward(30)
    assert kept.get("key", source) > 1


def test_get_when_the_other_side_says_how_long_to_wait(kept, time):
    source = Source(lasts=1000.0)
    kept.get("key", source)
    time.forward(100)
    source.error = TemporarilyUnavailableError("temporarily_unavailable", retry_after=50)
    kept.get("key", source)
    time.forward(49)
    assert kept.get("key", source) == 1
    assert source.calls == 2
    time.forward(1)
    kept.get("key", source)
    assert source.calls == 3


def test_get_when_renewing_fails_and_the_old_one_ended(kept, time):
    source = Source()
    kept.get("key", source)
    time.forward(150)
    source.error = NoAnswer("nobody there")

    def slow():
        time.forward(50)
        return source()

    with pytest.raises(NoAnswer):
        kept.get("key", slow)


def test_get_when_renewing_fails_for_a_fault_of_ours(kept, time):
    source = Source()
    kept.get("key", source)
    time.forward(100)
    source.error = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        kept.get("key", source)


def test_get_when_it_does_not_last(kept):
    source = Source(0, 0)
    assert [kept.get("key", source), kept.get("key", source)] == [1, 2]
    assert len(kept) == 0


def test_get_when_there_are_many(kept):
    for key in "abc":
        kept.get(key, Source())
    kept.get("a", Source())
    kept.get("d", Source())

    assert len(kept) == 3
    again = Source()
    for key in "acd":
        kept.get(key, again)
    assert again.calls == 0
    kept.get("b", again)
    assert again.calls == 1


def test_get_when_there_are_very_many(kept):
    for number in range(1000):
        kept.get(number, Source())
    assert len(kept) == 3
    assert kept._flights == {}


def test_forget_when_it_is_still_the_one_that_is_meant(kept):
    source = Source()
    kept.get("key", source)
    kept.forget("key", lambda value: value == 7)
    assert kept.get("key", source) == 1
    kept.forget("key", lambda value: value == 1)
    assert kept.get("key", source) == 2
    kept.forget("no such key", lambda value: True)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_get_when_the_process_forked_during_a_fetch(kept):
    slow = Source()
    slow.gate = threading.Event()
    thread = threading.Thread(target=lambda: kept.get("key", slow))
    thread.start()
    slow.started.wait(30)
    with kept._lock:
        child = os.fork()
        if child == 0:
            # Who waits for a lock of the parent waits for ever
            signal.alarm(20)
            status = 1
            try:
                status = 0 if kept.get("key", Source()) == 1 else 2
            finally:
                os._exit(status)
    slow.gate.set()
    thread.join()
    _, ended = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(ended) == 0
    assert kept.get("key", Source()) == 1


def test_representation_when_it_is_logged():
    assert "secret" not in repr(Fetched("secret", 1, 2))
