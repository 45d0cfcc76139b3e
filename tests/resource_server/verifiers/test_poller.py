"""The thread that asks again and again: that it starts, goes on, and ends."""

import gc
import os
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delegation_app.resource_server.verifiers import poller
from delegation_app.resource_server.verifiers.base import VerifiedTokenCache, digest_of
from delegation_app.resource_server.verifiers.poller import Poller

pytestmark = pytest.mark.any_database

PATIENCE = 10


class Owner:
    def __init__(self, seconds=0.01, broken=False):
        self.ticked = threading.Event()
        self.ticks = 0
        self.broken = broken
        self.poller = Poller(self.tick, seconds)

    def tick(self):
        self.ticks += 1
        self.ticked.set()
        if self.broken:
            raise RuntimeError("broken")


def threads():
    return {thread for thread in threading.enumerate() if thread.name == "delegation-verifier"}


@pytest.fixture(autouse=True)
def _threads_that_end():
    before = threads()
    yield
    gc.collect()
    for thread in threads() - before:
        thread.join(PATIENCE)
        assert not thread.is_alive()


def test_poller_when_not_needed_yet():
    before = threads()
    owner = Owner()
    assert threads() == before
    owner.poller.end()


def test_poller_when_needed_often():
    before, owner = threads(), Owner()
    for _ in range(100):
        owner.poller.ensure()
    assert len(threads() - before) == 1
    assert owner.ticked.wait(PATIENCE)
    owner.poller.end()


def test_poller_when_a_tick_fails(monkeypatch):
    messages = []
    monkeypatch.setattr(poller.logger, "exception", messages.append)
    owner = Owner(broken=True)
    owner.poller.ensure()
    assert owner.ticked.wait(PATIENCE)
    owner.ticked.clear()

    assert owner.ticked.wait(PATIENCE)
    owner.poller.end()
    assert "polling failed" in messages


def test_poller_when_woken():
    owner = Owner(seconds=3600)
    owner.poller.ensure()
    owner.poller.wake()
    assert owner.ticked.wait(PATIENCE)
    owner.poller.end()


def test_poller_when_ended():
    before, owner = threads(), Owner()
    owner.poller.end()
    owner.poller.ensure()
    assert threads() == before


def test_poller_when_its_owner_is_gone():
    owner = Owner()
    owner.poller.ensure()
    assert owner.ticked.wait(PATIENCE)
    thread = next(iter(threads()))

    del owner
    gc.collect()

    thread.join(PATIENCE)
    assert not thread.is_alive()


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_poller_when_the_process_forks():
    owner = Owner()
    owner.poller.ensure()
    assert owner.ticked.wait(PATIENCE)
    # As if the fork came while the parent's thread held it
    owner.poller._lock.acquire()

    child = os.fork()
    if child == 0:
        owner.ticked = threading.Event()
        owner.poller.ensure()
        os._exit(0 if owner.ticked.wait(PATIENCE) else 1)
    _, status = os.waitpid(child, 0)

    owner.poller._lock.release()
    owner.poller.end()
    assert os.waitstatus_to_exitcode(status) == 0


def test_seen_when_full():
    seen = VerifiedTokenCache[int](size=3)
    for number in range(5):
        seen.put(digest_of(str(number)), number)
    assert [seen.get(digest_of(str(number))) for number in range(5)] == [None, None, 2, 3, 4]


def test_seen_when_put_again():
    seen = VerifiedTokenCache[int](size=2)
    for text in ("a", "b", "a", "c"):
        seen.put(digest_of(text), 1)
    assert seen.get(digest_of("b")) is None
    assert seen.get(digest_of("a")) == 1


def test_seen_when_a_million_texts_come():
    seen = VerifiedTokenCache[int](size=100)
    for number in range(1_000_000):
        seen.put(number.to_bytes(32, "big"), number)
    assert len(seen) == 100


def test_seen_when_many_threads_write():
    seen = VerifiedTokenCache[int](size=10)

    def write(start):
        for number in range(start, start + 2000):
            seen.put(digest_of(str(number)), number)

    crowd = [threading.Thread(target=write, args=[start]) for start in range(0, 8000, 1000)]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join()

    assert len(seen) == 10


@given(st.lists(st.text(), unique=True, max_size=50))
def test_digest_when_texts_differ(texts):
    assert len({digest_of(text) for text in texts}) == len(texts)


def test_seen_when_looked_into():
    seen = VerifiedTokenCache[int]()
    seen.put(digest_of("secret-token"), 1)
    assert all("secret-token" not in repr(key) for key in seen)
