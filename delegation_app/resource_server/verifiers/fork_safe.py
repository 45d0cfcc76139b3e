"""Locks that survive a fork: a child gets new ones, since nobody there would release the old."""

from __future__ import annotations

import threading

from delegation_app.client.http.fork_safety import renew_after_fork


class Locked:
    """Something with a lock of its own."""

    def __init__(self) -> None:
        self.renew()
        renew_after_fork(self)

    def renew(self) -> None:
        """Take a new lock. Called in a forked child, which has one thread."""
        self._lock = threading.Lock()
