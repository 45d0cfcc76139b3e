"""A background thread that repeats a call."""

from __future__ import annotations

import os
import random
import threading
import weakref
from collections.abc import Callable
from typing import Final

from delegation_app.client.http.fork_safety import Locked
from delegation_app.protocol.printable import logger_for

logger = logger_for(__name__)

# Spreads the calls of processes that started together
_JITTER: Final = 0.1


class Poller(Locked):
    """A thread that calls a method every few seconds, as long as its owner lives.

    It starts at the first `ensure`, and again in a forked process.

    Args:
        tick: a bound method; its object is referenced weakly.
        seconds: the longest pause between two calls; with 0 there is no thread.
    """

    def __init__(self, tick: Callable[[], None], seconds: float) -> None:
        super().__init__()
        self._tick = weakref.WeakMethod(tick)
        self._seconds = seconds
        self._process = 0
        self._awake = threading.Event()
        self._ended = False

    def ensure(self) -> None:
        """Start the thread unless it runs in this process."""
        # Threads do not survive a fork
        if self._process != os.getpid() and self._seconds and not self._ended:
            self._start()

    def wake(self) -> None:
        """Call the method now."""
        self._awake.set()

    def end(self) -> None:
        """Stop the thread for good."""
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
        while self._wait(awake):
            tick = self._tick()
            if tick is None:
                return
            try:
                tick()
            except Exception:
                # Without the thread, every token is refused after a while
                logger.exception("polling failed")
            # No reference during the wait, or the owner would live for ever
            del tick

    def _wait(self, awake: threading.Event) -> bool:
        awake.wait(self._seconds * random.uniform(1 - _JITTER, 1))  # noqa: S311 - no secret
        awake.clear()
        return not self._ended
