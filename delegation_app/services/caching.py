"""Access to the site's cache that never blocks a request.

A cache only saves work, so a remote operation that takes more than half a second counts as failed,
and a failed cache is not used for some seconds. The timeouts of the site do not matter: some cache
clients wait indefinitely for a paused server.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import Future
from queue import Full, Queue
from threading import Lock, Thread
from typing import Any, Final

from django.core.cache import BaseCache, caches
from django.core.cache.backends.db import DatabaseCache
from django.core.cache.backends.dummy import DummyCache
from django.core.cache.backends.filebased import FileBasedCache
from django.core.cache.backends.locmem import LocMemCache

from delegation_app.conf import conf
from delegation_app.protocol.printable import logger_for
from delegation_app.rate_limited_logger import RateLimitedLogger

logger = logger_for("delegation_app")

LONGEST: Final = 0.5
REST: Final = 5.0

_WORKERS: Final = 8
_MOST_WAITING: Final = 256
# These answer immediately, or with the timeouts of the database, whose transaction they may need
_LOCAL: Final = (LocMemCache, DummyCache, DatabaseCache, FileBasedCache)

_Work = Callable[[BaseCache], Any]


class CacheAway(Exception):
    """The cache failed recently, or did not answer in time."""


class _Workers:
    """Threads that wait for the cache instead of requests. Started on demand."""

    def __init__(self) -> None:
        self._waiting: Queue[tuple[_Work, str, Future[Any]]] = Queue(_MOST_WAITING)
        self._lock = Lock()
        self._started = 0

    def give(self, work: _Work, alias: str) -> Future[Any]:
        """Queue some work.

        Raises:
            CacheAway: the queue is full.
        """
        done: Future[Any] = Future()
        try:
            self._waiting.put_nowait((work, alias, done))
        except Full as error:
            raise CacheAway("too much is waiting for the cache") from error
        self._start_one()
        return done

    def _start_one(self) -> None:
        with self._lock:
            if self._started >= _WORKERS:
                return
            self._started += 1
        # A daemon: it may hang while a server is paused
        Thread(target=self._run, name="delegation-cache", daemon=True).start()

    def _run(self) -> None:
        while True:
            work, alias, done = self._waiting.get()
            if not done.set_running_or_notify_cancel():
                continue
            try:
                done.set_result(work(caches[alias]))
            # Caches raise anything; the caller gets it
            except BaseException as error:  # noqa: BLE001
                done.set_exception(error)


class _Guard:
    """The state of the cache, and the worker threads."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        self.workers = _Workers()
        self.rests_until = float("-inf")
        self.failing = RateLimitedLogger(logger)

    def fail(self, error: BaseException) -> None:
        self.rests_until = time.monotonic() + REST
        self.failing.warning("the cache failed; it is not used for a while", error=error)


_guard = _Guard()
# Threads do not survive a fork, and a lock may have been held
os.register_at_fork(after_in_child=_guard.forget)


def forget() -> None:
    """Reset to the state of a new process."""
    _guard.forget()


def use(work: _Work) -> Any:
    """Return the result of `work` with the site's cache.

    Raises:
        CacheAway: it failed in the last five seconds, or failed now; logged at most once a minute.
        ValueError: from an `incr` of a missing key.
    """
    if time.monotonic() < _guard.rests_until:
        raise CacheAway("the cache failed a moment ago")
    try:
        cache = caches[conf.cache]
        if isinstance(cache, _LOCAL):
            return work(cache)
        return _in_time(_guard.workers.give(work, conf.cache))
    except ValueError:
        raise
    # Caches raise anything
    except Exception as error:
        _guard.fail(error)
        raise CacheAway("the cache failed") from error


def later(work: _Work) -> None:
    """Run `work` without waiting or raising an error; local caches run it immediately."""
    if time.monotonic() < _guard.rests_until:
        return
    try:
        cache = caches[conf.cache]
        if isinstance(cache, _LOCAL):
            work(cache)
        else:
            _guard.workers.give(work, conf.cache).add_done_callback(_look)
    except Exception as error:  # noqa: BLE001 - as above
        _guard.fail(error)


def _in_time(done: Future[Any]) -> Any:
    try:
        return done.result(LONGEST)
    finally:
        # No caller waits for it any longer
        done.cancel()


def _look(done: Future[Any]) -> None:
    error = None if done.cancelled() else done.exception()
    if error is not None:
        _guard.fail(error)
