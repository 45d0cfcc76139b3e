"""A cache in which one thread fetches while others wait, and which renews ahead of expiry."""

from __future__ import annotations

import copy
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from delegation_app.client.errors import ClientError
from delegation_app.client.http import fork_safety

Value = TypeVar("Value")

_MAX_PAUSE: Final = 30.0
# Longer than any fetch: a flight that has not landed by then was abandoned
_MAX_WAIT: Final = 60.0


@dataclass(frozen=True, slots=True)
class Fetched(Generic[Value]):
    """A fetched value and its lifetime, counted from the start of the fetch.

    Attributes:
        value: hidden in the representation.
        renew_after: seconds after which it is fetched again.
        expires_after: seconds after which it is no longer returned; with 0 it is not cached.
    """

    value: Value = field(repr=False)
    renew_after: float
    expires_after: float


class _Entry(Generic[Value]):
    def __init__(self, fetched: Fetched[Value], started: float) -> None:
        self.value = fetched.value
        self.due = started + fetched.renew_after
        self.ends = started + fetched.expires_after
        self.failures = 0


class _Flight(Generic[Value]):
    """A fetch in progress. One that landed without entry and error was abandoned."""

    def __init__(self) -> None:
        self.landed = threading.Event()
        self.entry: _Entry[Value] | None = None
        self.error: Exception | None = None


class SingleFlight(Generic[Value]):
    """Values by key. No lock is held during a fetch, and none survives a fork.

    For a missing value, the first thread fetches and the others wait for its value or its error.
    For a value that is due, one thread fetches and the others use the old value. If that fails, all
    use the old value until it expires, and the next attempt is 2, 4, 8 and at most 30 seconds
    later, or after the server's Retry-After.

    Args:
        max_entries: above this, the least recently used entry is dropped.
        clock: returns monotonic seconds.
    """

    def __init__(self, *, max_entries: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._max_entries = max_entries
        self._clock = clock
        self.reset_after_fork()
        fork_safety.register(self)

    def reset_after_fork(self) -> None:
        """Start empty, with a new lock."""
        self._lock = threading.Lock()
        self._entries: OrderedDict[Hashable, _Entry[Value]] = OrderedDict()
        self._flights: dict[Hashable, _Flight[Value]] = {}

    def get(self, key: Hashable, fetch: Callable[[], Fetched[Value]]) -> Value:
        """Return the value for a key.

        Args:
            key: everything that the value depends on.
            fetch: obtains the value; may be slow, and must not get the same key.

        Raises:
            Exception: from `fetch`, in this thread or in the one that fetched.
        """
        while True:
            with self._lock:
                entry, flight = self._live(key), self._flights.get(key)
                if entry is not None and (flight is not None or self._clock() < entry.due):
                    return entry.value
                if flight is None:
                    mine = self._flights[key] = _Flight[Value]()
                    break
            if not flight.landed.wait(_MAX_WAIT):
                with self._lock:
                    self._remove(key, flight)
            if (error := flight.error) is not None:
                # A copy: a traceback belongs to one thread
                raise copy.copy(error) if isinstance(error, ClientError) else error
            if flight.entry is not None:
                return flight.entry.value
        return self._fly(key, mine, fetch, entry)

    def forget(self, key: Hashable, condition: Callable[[Value], bool]) -> None:
        """Remove the value of a key if it meets a condition."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is not None and condition(entry.value):
                del self._entries[key]

    def __len__(self) -> int:
        return len(self._entries)

    def _live(self, key: Hashable) -> _Entry[Value] | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        if self._clock() >= entry.ends:
            del self._entries[key]
            return None
        self._entries.move_to_end(key)
        return entry

    def _fly(
        self,
        key: Hashable,
        flight: _Flight[Value],
        fetch: Callable[[], Fetched[Value]],
        old: _Entry[Value] | None,
    ) -> Value:
        started = self._clock()
        try:
            flight.entry = _Entry(fetch(), started)
        except Exception as error:
            flight.error = error
            if old is None or not isinstance(error, ClientError):
                raise
            return self._postpone(old, error)
        else:
            return flight.entry.value
        # Also for SystemExit in this thread: the waiting threads then fetch themselves
        finally:
            self._land(key, flight)

    def _remove(self, key: Hashable, flight: _Flight[Value]) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]

    def _land(self, key: Hashable, flight: _Flight[Value]) -> None:
        with self._lock:
            self._remove(key, flight)
            if flight.entry is not None:
                self._entries.pop(key, None)
                if flight.entry.ends > self._clock():
                    self._entries[key] = flight.entry
            while len(self._entries) > self._max_entries:
                self._entries.popitem(last=False)
        flight.landed.set()

    def _postpone(self, old: _Entry[Value], error: ClientError) -> Value:
        now = self._clock()
        if now >= old.ends:
            raise error
        old.failures += 1
        pause = min(2.0**old.failures, _MAX_PAUSE)
        old.due = now + max(pause, error.retry_after or 0)
        return old.value
