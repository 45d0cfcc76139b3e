"""Counting failed attempts, atomically, in the site's cache."""

from __future__ import annotations

import logging
import time
from typing import Final

from django.core.cache import caches

from delegation_app.conf import conf
from delegation_app.protocol.errors import TooManyAttempts
from delegation_app.protocol.secrets import digest

logger = logging.getLogger("delegation_app")

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
            retry_after=_WINDOW - int(time.time()) % _WINDOW,
        )


def count_failure(*, client_id: str, ip: str | None) -> None:
    """Count one failure of this client from this address; others are not affected."""
    cache, key = caches[conf.cache], _key(client_id, ip)
    try:
        # add and incr are atomic in every cache backend, get and set together are not
        cache.add(key, 0, timeout=2 * _WINDOW)
        cache.incr(key)
    except Exception:
        # Evicted between the two calls, or the cache is down: this failure is not counted.
        logger.exception("a failed attempt was not counted")


def _key(client_id: str, ip: str | None) -> str:
    minute = int(time.time()) // _WINDOW
    # The digest of length-prefixed fields: no two callers share a key.
    return f"delegation:failures:{minute}:{digest(f'{len(client_id)}:{client_id}:{ip}')}"
