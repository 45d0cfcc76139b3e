"""The thread that asks again and again: that it starts, goes on, and ends."""

import gc
import os
import threading

import pytest

from delegation_app.resource_server.verifiers import poller
from delegation_app.resource_server.verifiers.poller import Poller

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


def test_poller_when_not_needed_yet_then_there_is_no_thread():
    before = threads()
    owner = Owner()

    assert threads() == before
    owner.poller.end()


def test_poller_when_needed_often_then_one_thread_ticks():
    before, owner = threads(), Owner()

    for _ in range(100):
        owner.poller.ensure()

    assert len(threads() - before) == 1
    assert owner.ticked.wait(PATIENCE)
    owner.poller.end()


def test_poller_when_a_tick_fails_then_it_says_so_and_goes_on(monkeypatch):
    told = []
    monkeypatch.setattr(poller.logger, "exception", told.append)
    owner = Owner(broken=True)
    owner.poller.ensure()
    assert owner.ticked.wait(PATIENCE)
    owner.ticked.clear()

    assert owner.ticked.wait(PATIENCE)
    owner.poller.end()
    assert "polling failed" in told


def test_poller_when_woken_then_it_does_not_wait():
    owner = Owner(seconds=3600)
    owner.poller.ensure()

    owner.poller.wake()

    assert owner.ticked.wait(PATIENCE)
    owner.poller.end()


def test_poller_when_ended_then_it_does_not_start_again():
    before, owner = threads(), Owner()
    owner.poller.end()

    owner.poller.ensure()

    assert threads() == before


def test_poller_when_its_owner_is_gone_then_the_thread_ends():
    owner = Owner()
    owner.poller.ensure()
    assert owner.ticked.wait(PATIENCE)
    thread = next(iter(threads()))

    del owner
    gc.collect()

    thread.join(PATIENCE)
    assert not thread.is_alive()


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_poller_when_the_process_forks_then_it_runs_in_the_child_too():
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
