"""Doing something again and again beside the requests."""

from __future__ import annotations

import os
import random
import threading
import weakref
from collections.abc import Callable
from typing import Final

from delegation_app.protocol.printable import logger_for
from delegation_app.resource_server.verifiers.fork_safe import Locked

logger = logger_for(__name__)

# So that a hundred processes that started together do not ask together
_JITTER: Final = 0.1


class Poller(Locked):
    """A thread that calls a method every few seconds, as long as its owner lives.

    It starts when it is first needed, and again in a process that was forked.

    Args:
        tick: a bound method; its object is held weakly.
        seconds: at most this long lies between the end of a call and the next. With 0 it never
            starts, and the owner has to be called by somebody else.
    """

    def __init__(self, tick: Callable[[], None], seconds: float) -> None:
        super().__init__()
        self._tick = weakref.WeakMethod(tick)
        self._seconds = seconds
        self._process = 0
        self._awake = threading.Event()
        self._ended = False

    def ensure(self) -> None:
        """Make sure that it runs in this process."""
        # Threads do not survive a fork
        if self._process != os.getpid() and self._seconds and not self._ended:
            self._start()

    def wake(self) -> None:
        """Call it now rather than later."""
        self._awake.set()

    def end(self) -> None:
        """Call it no more."""
        self._ended = True
        self._awake.set()

    def _start(self) -> None:
        with self._lock:
            if self._process == os.getpid():
                return
            self._process = os.getpid()
            self._awake = threading.Event()
            name = "delegation-verifier"
            threading.Thread(target=self._run, args=[self._awake], name=name, daemon=True).start()

    def _run(self, awake: threading.Event) -> None:
        while self._rest(awake):
            tick = self._tick()
            if tick is None:
                return
            try:
                tick()
            except Exception:
                # It must go on: without it every token is refused after a while
                logger.exception("polling failed")
            # Not held while it waits, or the owner would live for ever
            del tick

    def _rest(self, awake: threading.Event) -> bool:
        awake.wait(self._seconds * random.uniform(1 - _JITTER, 1))  # noqa: S311 - no secret
        awake.clear()
        return not self._ended
