"""Tokens that may stand in the database while this server knows that no client has them.

The database was away when their answer was lost, so it cannot say. This process remembers, and
tells the others through the cache. Where both have forgotten, what is presented again is a replay.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Final

from django.core.cache import caches

from delegation_app.conf import conf
from delegation_app.protocol.errors import OutcomeUnknown
from delegation_app.protocol.printable import logger_for
from delegation_app.protocol.secrets import digest
from delegation_app.services.tokens.issuing import Issued

logger = logger_for("delegation_app")

# As long as a database may be away without a client losing what it holds
SECONDS: Final = 3600
_MOST: Final = 1000
_NAME: Final = "delegation:lost-answer:"


class _LocalAnswers:
    """What this process knows without asking a cache: token ids, and until when, by digest."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.kept: OrderedDict[str, tuple[str, float]] = OrderedDict()


_local = _LocalAnswers()


@contextmanager
def noted(secret: str) -> Iterator[None]:
    """Note what is issued for a secret if that ends in `OutcomeUnknown`, and let the error pass.

    Args:
        secret: a code, a device code or a refresh token, as presented. Only its digest is kept.

    Side effects: an entry of this process, and one of the cache.
    """
    try:
        yield
    except OutcomeUnknown as error:
        if isinstance(error.attempted, Issued):
            _note(digest(secret), error.attempted.access.jti)
        raise


def token_of(secret_digest: str) -> str | None:
    """Return the `jti` whose answer was lost in the last `SECONDS`; None if none is known of."""
    with _local.lock:
        jti, until = _local.kept.get(secret_digest, ("", 0.0))
    if until > time.monotonic():
        return jti
    try:
        told = caches[conf.cache].get(_NAME + secret_digest)
    # Whatever it raises: without a cache, less is known
    except Exception:
        logger.exception("the cache failed")
        return None
    return told if isinstance(told, str) else None


def forget() -> None:
    """Know nothing, as a process that has just begun."""
    with _local.lock:
        _local.kept.clear()


def _note(secret_digest: str, jti: str) -> None:
    with _local.lock:
        _local.kept[secret_digest] = jti, time.monotonic() + SECONDS
        while len(_local.kept) > _MOST:
            _local.kept.popitem(last=False)
    try:
        caches[conf.cache].set(_NAME + secret_digest, jti, SECONDS)
    except Exception:
        logger.exception("the cache failed")
