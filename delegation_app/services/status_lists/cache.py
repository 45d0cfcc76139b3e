"""The cache of signed status lists, and its invalidation.

A list is served for at most STATUS_LIST_CACHE_SECONDS. Within these, a change by this process takes
effect immediately, and one by another process with the cached generation.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Final
from weakref import WeakKeyDictionary

from django.apps import apps
from django.contrib.auth import get_user_model
from django.db import connections, transaction
from django.db.models.signals import post_migrate, post_save

from delegation_app import clock
from delegation_app.conf import conf
from delegation_app.models.restrictions import tightened
from delegation_app.services import caching
from delegation_app.services.transactions import database

_GENERATION: Final = "delegation:status-lists"
# A quarter of a megabyte each at worst
_MOST: Final = 32
_MOST_ENDS: Final = 1000
_ENDS_SECONDS: Final = 600
_RETRY_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Published:
    """A signed status list. Times are seconds since the epoch.

    Attributes:
        token: the compact JWS.
        gzipped: the same, compressed for the transport.
        statuses: a digest of its content.
        kid: the key that signed it.
        issued_at, expires_at: its `iat` and `exp`.
        looked_at: when the tables were read, from the start of the first query.
        generation: of the cache at that time.
    """

    token: bytes = field(repr=False)
    gzipped: bytes = field(repr=False)
    statuses: bytes
    kid: str
    issued_at: int
    expires_at: int
    looked_at: float
    generation: str | None

    @property
    def tag(self) -> str:
        """Its ETag."""
        return hashlib.sha256(self.token).hexdigest()[:32]


class _LocalLists:
    """The lists in the memory of this process."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.forget()

    def forget(self) -> None:
        self.changed_at = float("-inf")
        self.kept: OrderedDict[str, tuple[Published, float]] = OrderedDict()
        self.ends: dict[int, tuple[float, float]] = {}
        self.failed: dict[int, float] = {}

    def get(self, number: int) -> tuple[Published | None, float]:
        with self.lock:
            return self.kept.get(_name(number), (None, float("-inf")))

    def keep(self, number: int, made: Published, began: float) -> None:
        name = _name(number)
        with self.lock:
            self.kept[name] = made, began
            self.kept.move_to_end(name)
            while len(self.kept) > _MOST:
                self.kept.popitem(last=False)


_local = _LocalLists()
# A prefix for each test that is rolled back at its end
_undone: Final[WeakKeyDictionary[object, str]] = WeakKeyDictionary()


def forget() -> None:
    """Reset to the state of a new process."""
    _local.forget()


def changed() -> None:
    """Invalidate all cached status lists.

    Side effects: after the commit, the cache invalidates those of other processes.
    """
    _local.changed_at = _now()
    # A write shows that the database answers
    _local.failed = {}
    transaction.on_commit(_tell, using=database())


def fresh(number: int) -> Published | None:
    """Return a list that may be served without a query, or None."""
    generation, found = known(number)
    if found is None or found.generation != generation:
        return None
    now = _now()
    # A time in the future is from another clock, and is ignored
    is_young = 0 <= now - found.looked_at < conf.status_list_cache_seconds
    is_overtaken = found.looked_at <= _local.changed_at <= now
    return found if is_young and not is_overtaken and now < found.expires_at else None


def known(number: int) -> tuple[str | None, Published | None]:
    """Return the current generation, and the newest list of this process or the cache."""
    mine, _ = _local.get(number)
    cached = _ask(number)
    if cached is None:
        return (None, None) if mine is None else (mine.generation, mine)
    generation, theirs = cached.get(_GENERATION), cached.get(_name(number))
    found = [made for made in (mine, theirs) if isinstance(made, Published)]
    # A verifier never gets an older list than before
    return generation, max(found, key=lambda made: (made.issued_at, made.looked_at), default=None)


def mine(number: int, *, since: float = float("-inf")) -> Published | None:
    """Return the list last built by this process, if started at `since` or later.

    Args:
        number: of the list.
        since: a reading of `time.monotonic`.
    """
    made, began = _local.get(number)
    return made if began >= since else None


def keep(number: int, made: Published, began: float) -> None:
    """Cache a list; `began` is the start of its computation in `time.monotonic`."""
    _local.keep(number, made, began)
    _store(_name(number), made, conf.status_list_lifetime)


def note_failure(number: int) -> None:
    """Record that a list could not be rebuilt, so that not every caller tries."""
    now = time.monotonic()
    recent = {n: at for n, at in list(_local.failed.items()) if now - at < _RETRY_SECONDS}
    _local.failed = {**recent, number: now}


def failed_lately(number: int) -> bool:
    """Whether rebuilding failed in the last second, without a local change since."""
    return time.monotonic() - _local.failed.get(number, float("-inf")) < _RETRY_SECONDS


def ends(tokens: int) -> float | None:
    """Return the expiry of the last token of a list, if cached."""
    when, until = _local.ends.get(tokens, (0.0, 0.0))
    return when if _now() < until else None


def keep_end(tokens: int, when: float) -> None:
    """Cache the expiry of the last token of a list, which is final once the list is full."""
    if len(_local.ends) >= _MOST_ENDS:
        _local.ends.clear()
    _local.ends[tokens] = when, _now() + _ENDS_SECONDS


def watch() -> None:
    """Connect to the signals of other changes of a list. Called once, at startup."""
    tightened.connect(_on_change, dispatch_uid="delegation_status_policy")
    post_save.connect(
        _person_saved, sender=get_user_model(), dispatch_uid="delegation_status_person"
    )
    # Sent by a flush, which empties the tables
    ours = apps.get_app_config("delegation_app")
    post_migrate.connect(_flushed, sender=ours, dispatch_uid="delegation_status_flush")


def _on_change(**_kwargs: object) -> None:
    changed()


def _flushed(**_kwargs: object) -> None:
    forget()
    _tell()


def _person_saved(update_fields: frozenset[str] | None = None, **_kwargs: object) -> None:
    # A sign-in saves its time only
    if update_fields is None or "is_active" in update_fields:
        changed()


def _tell() -> None:
    _local.changed_at = _now()
    # Random, so that a cache that lost it cannot return to an old one
    _store(_GENERATION, secrets.token_hex(8), None)


def _ask(number: int) -> dict[str, Any] | None:
    names = [_GENERATION, _name(number)]
    try:
        found: dict[str, Any] = caching.use(lambda cache: cache.get_many(names))
    # Without a cache it only takes longer
    except (caching.CacheAway, ValueError):
        return None
    return found


def _store(name: str, value: object, seconds: int | None) -> None:
    # A response must not wait for the cache after the commit
    caching.later(lambda cache: cache.set(name, value, seconds))


def _name(number: int) -> str:
    return f"{_GENERATION}:{_test()}{number}"


def _test() -> str:
    """Return a prefix for lists of tests that Django's `TestCase` rolls back, without a signal."""
    for block in reversed(getattr(connections[database()], "atomic_blocks", ())):
        if getattr(block, "_from_testcase", False):
            return _undone.setdefault(block, f"{secrets.token_hex(8)}:")
    return ""


def _now() -> float:
    return clock.now().timestamp()
