"""A cache in which one asks and the others wait, and what is due is asked for ahead of time."""

from __future__ import annotations

import copy
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from delegation_app.client.errors import ClientError
from delegation_app.client.http.fork_safety import renew_after_fork

Value = TypeVar("Value")

_LONGEST_PAUSE: Final = 30.0
# Longer than any fetch takes, so whoever has not landed by then never will
_PATIENCE: Final = 60.0


@dataclass(frozen=True, slots=True)
class Fetched(Generic[Value]):
    """What was fetched, and for how long it is good.

    Attributes:
        value: it; a representation does not show it.
        fresh: seconds from when it was asked for, after which it is asked for anew.
        lasts: seconds after which it is not handed out any more; with 0 it is not kept.
    """

    value: Value
    fresh: float
    lasts: float

    def __repr__(self) -> str:
        return f"Fetched(fresh={self.fresh}, lasts={self.lasts})"


class _Entry(Generic[Value]):
    __slots__ = ("due", "ends", "failures", "value")

    def __init__(self, fetched: Fetched[Value], asked: float) -> None:
        self.value = fetched.value
        self.due = asked + fetched.fresh
        self.ends = asked + fetched.lasts
        self.failures = 0


class _Flight(Generic[Value]):
    """One fetch under way. With neither an entry nor an error it was abandoned."""

    __slots__ = ("entry", "error", "landed")

    def __init__(self) -> None:
        self.landed = threading.Event()
        self.entry: _Entry[Value] | None = None
        self.error: Exception | None = None


class SingleFlight(Generic[Value]):
    """Values by key. No lock is held while somebody fetches, and none outlives a fork.

    Whoever finds nothing fetches; whoever comes meanwhile waits, and gets the same value or the
    same error. Whoever finds a value that is due fetches, and everybody else goes on with what
    there is. If that fails, so does the one who fetches, until it ends; the next try is 2, 4, 8
    and at most 30 seconds later, or when the other side says.

    Args:
        most_entries: beyond that, what was not used for longest is forgotten.
        clock: seconds that never go back.
    """

    def __init__(self, *, most_entries: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most_entries = most_entries
        self._clock = clock
        self.renew()
        renew_after_fork(self)

    def renew(self) -> None:
        """Start empty, with a lock that nobody holds."""
        self._lock = threading.Lock()
        self._entries: OrderedDict[Hashable, _Entry[Value]] = OrderedDict()
        self._flights: dict[Hashable, _Flight[Value]] = {}

    def get(self, key: Hashable, fetch: Callable[[], Fetched[Value]]) -> Value:
        """Return the value for a key.

        Args:
            key: a tuple of everything that makes a difference.
            fetch: how to get it; it may take its time, and must not ask for the same key.

        Raises:
            Exception: what `fetch` raised, here or in whoever fetched.
        """
        while True:
            with self._lock:
                entry, flight = self._live(key), self._flights.get(key)
                if entry is not None and (flight is not None or self._clock() < entry.due):
                    return entry.value
                if flight is None:
                    mine = self._flights[key] = _Flight[Value]()
                    break
            if not flight.landed.wait(_PATIENCE):
                self._write_off(key, flight)
            if flight.error is not None:
                # A copy: a traceback belongs to one thread
                raise _copy(flight.error)
            if flight.entry is not None:
                return flight.entry.value
        return self._fly(key, mine, fetch, entry)

    def forget(self, key: Hashable, is_meant: Callable[[Value], bool]) -> None:
        """Forget the value of a key, unless it is another one by now."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is not None and is_meant(entry.value):
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
        asked = self._clock()
        try:
            flight.entry = _Entry(fetch(), asked)
        except Exception as error:
            flight.error = error
            if old is None or not isinstance(error, ClientError):
                raise
            return self._go_on(old, error)
        else:
            return flight.entry.value
        # Also where the thread is told to stop: those who wait then have to try for themselves
        finally:
            self._land(key, flight)

    def _write_off(self, key: Hashable, flight: _Flight[Value]) -> None:
        with self._lock:
            if self._flights.get(key) is flight:
                del self._flights[key]

    def _land(self, key: Hashable, flight: _Flight[Value]) -> None:
        with self._lock:
            if self._flights.get(key) is flight:
                del self._flights[key]
            if flight.entry is not None:
                self._entries.pop(key, None)
                if flight.entry.ends > self._clock():
                    self._entries[key] = flight.entry
            while len(self._entries) > self._most_entries:
                self._entries.popitem(last=False)
        flight.landed.set()

    def _go_on(self, old: _Entry[Value], error: ClientError) -> Value:
        now = self._clock()
        if now >= old.ends:
            raise error
        old.failures += 1
        pause = min(2.0**old.failures, _LONGEST_PAUSE)
        old.due = now + max(pause, error.retry_after or 0)
        return old.value


def _copy(error: Exception) -> Exception:
    return copy.copy(error) if isinstance(error, ClientError) else error
