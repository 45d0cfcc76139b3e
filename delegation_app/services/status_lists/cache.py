"""Signed status lists that need not be made again, and how a change makes them be.

What is kept is served for STATUS_LIST_CACHE_SECONDS at most, whatever a cache says. Within these, a
change that this process makes is seen at once, and that of another one as soon as the cache tells.
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
        statuses: a digest of what it says.
        kid: the key that signed it.
        issued_at, expires_at: its `iat` and `exp`.
        looked_at: when the tables were last looked at, before the first of them was read.
        generation: what the cache said then.
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
        """What tells it from every other one."""
        return hashlib.sha256(self.token).hexdigest()[:32]


class _LocalLists:
    """What this process knows without asking a cache."""

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
# A name for each test of a site that is undone when it ends
_undone: Final[WeakKeyDictionary[object, str]] = WeakKeyDictionary()


def forget() -> None:
    """Know nothing, as a process that has just begun."""
    _local.forget()


def changed() -> None:
    """Have every list made again: a change may concern it.

    Side effects: other processes are told through the cache, after the commit.
    """
    _local.changed_at = _now()
    # Whoever can write can read
    _local.failed = {}
    transaction.on_commit(_tell, using=database())


def fresh(number: int) -> Published | None:
    """Return a list that may be served without looking at the tables, or None."""
    generation, found = known(number)
    if found is None or found.generation != generation:
        return None
    now = _now()
    # A time that is still to come was told by another clock, and says nothing
    is_young = 0 <= now - found.looked_at < conf.status_list_cache_seconds
    is_overtaken = found.looked_at <= _local.changed_at <= now
    return found if is_young and not is_overtaken and now < found.expires_at else None


def known(number: int) -> tuple[str | None, Published | None]:
    """Return the present generation, and the newest list that this process or the cache has."""
    mine, _ = _local.get(number)
    told = _ask(number)
    if told is None:
        return (None, None) if mine is None else (mine.generation, mine)
    generation, theirs = told.get(_GENERATION), told.get(_name(number))
    found = [made for made in (mine, theirs) if isinstance(made, Published)]
    # Who was given a list is never given an older one, if two processes made one at a time
    return generation, max(found, key=lambda made: (made.issued_at, made.looked_at), default=None)


def mine(number: int, *, since: float = float("-inf")) -> Published | None:
    """Return what this process made last, if it began to at `since` or later.

    Args:
        number: of the list.
        since: a reading of `time.monotonic`.
    """
    made, began = _local.get(number)
    return made if began >= since else None


def keep(number: int, made: Published, began: float) -> None:
    """Keep a list; `began` is the reading of `time.monotonic` when its making began."""
    _local.keep(number, made, began)
    _store(_name(number), made, conf.status_list_lifetime)


def note_failure(number: int) -> None:
    """Note that a list could not be made anew, so that not every caller tries."""
    now = time.monotonic()
    recent = {n: at for n, at in list(_local.failed.items()) if now - at < _RETRY_SECONDS}
    _local.failed = {**recent, number: now}


def failed_lately(number: int) -> bool:
    """Whether a list could not be made anew in the last second, and nothing changed here since."""
    return time.monotonic() - _local.failed.get(number, float("-inf")) < _RETRY_SECONDS


def ends(tokens: int) -> float | None:
    """Return when the last token of a list ends, if this process looked it up lately."""
    when, until = _local.ends.get(tokens, (0.0, 0.0))
    return when if _now() < until else None


def keep_end(tokens: int, when: float) -> None:
    """Keep when the last token of a list ends. It is final once no token is added to the list."""
    if len(_local.ends) >= _MOST_ENDS:
        _local.ends.clear()
    _local.ends[tokens] = when, _now() + _ENDS_SECONDS


def watch() -> None:
    """Connect to what changes a list beside our own services. Called once, at the start."""
    tightened.connect(_on_change, dispatch_uid="delegation_status_policy")
    post_save.connect(
        _person_saved, sender=get_user_model(), dispatch_uid="delegation_status_person"
    )
    # A flush empties the tables, and sends this
    ours = apps.get_app_config("delegation_app")
    post_migrate.connect(_flushed, sender=ours, dispatch_uid="delegation_status_flush")


def _on_change(**_kwargs: object) -> None:
    changed()


def _flushed(**_kwargs: object) -> None:
    forget()
    _tell()


def _person_saved(update_fields: frozenset[str] | None = None, **_kwargs: object) -> None:
    # Each sign-in saves the time of it, and nothing else
    if update_fields is None or "is_active" in update_fields:
        changed()


def _tell() -> None:
    _local.changed_at = _now()
    # Random, so that a cache that forgot it can't come back to an old one
    _store(_GENERATION, secrets.token_hex(8), None)


def _ask(number: int) -> dict[str, Any] | None:
    names = [_GENERATION, _name(number)]
    try:
        found: dict[str, Any] = caching.use(lambda cache: cache.get_many(names))
    # Without a cache it takes longer, no more
    except (caching.CacheAway, ValueError):
        return None
    return found


def _store(name: str, value: object, seconds: int | None) -> None:
    # Nothing may wait between a commit and its answer
    caching.later(lambda cache: cache.set(name, value, seconds))


def _name(number: int) -> str:
    return f"{_GENERATION}:{_test()}{number}"


def _test() -> str:
    """Return what keeps apart lists of tests that Django's `TestCase` undoes; else nothing.

    After such a test the tables are as before, and no signal says so.
    """
    for block in reversed(getattr(connections[database()], "atomic_blocks", ())):
        if getattr(block, "_from_testcase", False):
            return _undone.setdefault(block, f"{secrets.token_hex(8)}:")
    return ""


def _now() -> float:
    return clock.now().timestamp()
