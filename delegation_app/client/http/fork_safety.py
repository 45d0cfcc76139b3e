"""What a child process must not share with its parent: locks that are held, open connections."""

from __future__ import annotations

import os
from typing import Protocol
from weakref import WeakSet


class Renewable(Protocol):
    """What can start anew."""

    def renew(self) -> None:
        """Let go of everything that belongs to the parent process. Nobody else runs meanwhile."""
        ...


_known: WeakSet[Renewable] = WeakSet()


def renew_after_fork(thing: Renewable) -> None:
    """Have `thing` renewed in every child process, for as long as it lives."""
    _known.add(thing)


def _renew() -> None:
    for thing in list(_known):
        thing.renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
