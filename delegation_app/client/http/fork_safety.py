"""State that a forked child must not share: open connections, and locks that no thread releases."""

from __future__ import annotations

import os
import threading
from typing import Protocol
from weakref import WeakSet


class Resettable(Protocol):
    """An object that can drop the state of its parent process."""

    def reset_after_fork(self) -> None:
        """Drop the state of the parent process. The child has one thread."""
        ...


_registered: WeakSet[Resettable] = WeakSet()


def register(resettable: Resettable) -> None:
    """Reset an object in every child process, as long as it lives."""
    _registered.add(resettable)


def _reset_all() -> None:
    for resettable in list(_registered):
        resettable.reset_after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_all)


class Locked:
    """An object with a lock that a forked child replaces."""

    def __init__(self) -> None:
        self.reset_after_fork()
        register(self)

    def reset_after_fork(self) -> None:
        """Replace the lock."""
        self._lock = threading.Lock()
