"""Counting failed attempts, atomically, in the site's cache."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from django.core.cache import caches

from delegation_app.conf import conf
from delegation_app.protocol.errors import TooManyAttempts
from delegation_app.protocol.printable import logger_for
from delegation_app.protocol.secrets import digest

logger = logger_for("delegation_app")

_WINDOW: Final = 60


def refuse_if_exhausted(*, client_id: str, ip: str | None) -> None:
    """Refuse a caller that failed too often in the last minute.

    Raises:
        TooManyAttempts: with the seconds until the next minute.
    """
    try:
        failures = caches[conf.cache].get(_key(client_id, ip), 0)
    except Exception:
        # A cache that is down costs the protection, not the service.
        logger.exception("failed attempts can not be counted")
        return
    if failures >= conf.failed_authentications_per_minute:
        raise TooManyAttempts(
            "Too many failed authentications. Wait a minute.",
            retry_after=_rest(),
        )


def count_failure(*, client_id: str, ip: str | None) -> None:
    """Count one failure of this client from this address; others are not affected."""
    cache, key = caches[conf.cache], _key(client_id, ip)
    try:
        # Atomic in memory, Memcached and Redis. Backends without an incr of their own, such as
        # files and tables, may lose one of two counts at the same moment.
        cache.add(key, 0, timeout=2 * _WINDOW)
        cache.incr(key)
    except Exception:
        # Evicted between the two calls, or the cache is down: this failure is not counted.
        logger.exception("a failed attempt was not counted")


class Attempt:
    """One try; whoever makes it says whether it failed."""

    def __init__(self) -> None:
        self.failed = False


@contextmanager
def attempt(*callers: str, most: int) -> Iterator[Attempt]:
    """Count a try before it is made, and take it back unless it failed.

    So many tries at the same moment fail no more often than as many one after the other.

    Args:
        callers: whom it counts for, each for itself: a person, an address.
        most: how many failures each of them has in a minute.

    Raises:
        TooManyAttempts: one of them has had all; this try was not made and does not count.
    """
    minute = int(time.time()) // _WINDOW
    keys = [f"delegation:attempts:{minute}:{digest(caller)}" for caller in callers]
    tries = [_add(key, 1) for key in keys]
    made = Attempt()
    try:
        if any(count > most for count in tries):
            raise TooManyAttempts("Too many wrong codes. Wait a minute.", retry_after=_rest())
        yield made
    finally:
        if not made.failed:
            for key in keys:
                _add(key, -1)


def _add(key: str, change: int) -> int:
    cache = caches[conf.cache]
    try:
        cache.add(key, 0, timeout=2 * _WINDOW)
        return int(cache.incr(key, change))
    except Exception:
        logger.exception("an attempt was not counted")
        return 0


def _rest() -> int:
    return _WINDOW - int(time.time()) % _WINDOW


def _key(client_id: str, ip: str | None) -> str:
    minute = int(time.time()) // _WINDOW
    # The digest of length-prefixed fields: no two callers share a key.
    return f"delegation:failures:{minute}:{digest(f'{len(client_id)}:{client_id}:{ip}')}"
