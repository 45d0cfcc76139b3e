"""Token status lists (draft-ietf-oauth-status-list-20), computed from the tables when asked for.

A list covers 2 to the power of 20 access tokens with consecutive keys. The invalid ones are queried
(`invalid_tokens`), so a revocation writes nothing here.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import math
import re
import time
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache
from threading import Lock
from typing import Any, Final

from django.db import DatabaseError, InterfaceError
from django.db.models import Max

from delegation_app import clock
from delegation_app.conf import conf
from delegation_app.endpoint_urls import endpoint
from delegation_app.models import AccessToken
from delegation_app.protocol import jose, names, secrets
from delegation_app.protocol.errors import TemporarilyUnavailable
from delegation_app.protocol.permutation import Permutation, permutation
from delegation_app.protocol.printable import logger_for
from delegation_app.protocol.status_list import StatusList, StatusReference
from delegation_app.rate_limited_logger import RateLimitedLogger
from delegation_app.services import signing_keys
from delegation_app.services.status_lists import cache, invalid_tokens
from delegation_app.services.status_lists.cache import Published

_BITS: Final = 20
SIZE: Final = 1 << _BITS
_FINGERPRINT_BITS: Final = 32
_NAME: Final = re.compile(r"0|[1-9][0-9]{0,29}")
# Keys have 63 bits
_MOST: Final = 1 << (63 - _BITS)
# More than threads that build different lists; two lists may share a lock
_LOCKS: Final = tuple(Lock() for _ in range(64))


_PATIENCE: Final = 1.0
_behind: Final = RateLimitedLogger(logger_for("delegation_app"))


class UnknownList(LookupError):
    """The list does not exist, or not yet."""


class ExpiredList(LookupError):
    """All tokens of the list have expired."""


@dataclass(frozen=True, slots=True)
class _Key:
    """The key that shuffles the indices, derived from a secret of the site."""

    secret: bytes = field(repr=False)
    fingerprint: int


@dataclass(frozen=True, slots=True)
class _List:
    """A list: its range of tokens, counted in `SIZE`, and its shuffling key."""

    tokens: int
    key: _Key

    @property
    def number(self) -> int:
        return self.tokens << _FINGERPRINT_BITS | self.key.fingerprint

    @property
    def uri(self) -> str:
        """Its URL."""
        return endpoint("status-list", self.number)

    @property
    def shuffle(self) -> Permutation:
        return permutation(self.key.secret, self.tokens, _BITS)

    @property
    def range(self) -> range:
        return range(self.tokens << _BITS, (self.tokens + 1) << _BITS)


def reference(token: int) -> StatusReference:
    """Return the status reference of an access token.

    Args:
        token: the primary key of its row. No two rows share one, so no two tokens share an index.
    """
    place = _List(token >> _BITS, _keys()[0])
    # Section 13.3: neither in the order of issue nor predictable
    return StatusReference(place.uri, place.shuffle(token & (SIZE - 1)))


def published(name: str) -> Published:
    """Return a signed list, at most STATUS_LIST_CACHE_SECONDS behind the tables.

    If the tables cannot be read or the list cannot be signed, the last list of this process or the
    cache, until its `exp`; see `seconds_behind`.

    Args:
        name: the last part of its URL.

    Raises:
        UnknownList: the list does not exist.
        ExpiredList: all its tokens have expired.
        DatabaseError, InterfaceError: the tables cannot be read, without a last list.
        TemporarilyUnavailable: the active key cannot be decrypted, without a last list.

    Side effects: on caches only.
    """
    found = _find(name)
    kept = _fresh(found) or _instead(found)
    if kept is not None:
        return kept
    asked = time.monotonic()
    lock = _LOCKS[found.tokens % len(_LOCKS)]
    if not lock.acquire(timeout=_PATIENCE):
        # Another caller is waiting for the database, which may be unavailable
        last = _last(found)
        if last is not None:
            return last
        lock.acquire()
    try:
        # Another thread may have built it meanwhile
        made = cache.mine(found.number, since=asked) or _fresh(found)
        return made or _instead(found) or _made(found)
    finally:
        lock.release()


def seconds_behind(found: Published) -> int:
    """Return the age of a list's data in seconds; 0 for a current one."""
    behind = math.ceil(clock.now().timestamp() - found.looked_at)
    return behind if behind > conf.status_list_cache_seconds else 0


def _fresh(wanted: _List) -> Published | None:
    kept = cache.fresh(wanted.number)
    # An inactive key may be missing after a flush or restore
    return kept if kept is not None and signing_keys.may_sign(kept.kid) else None


def _made(wanted: _List) -> Published:
    try:
        made = _make(wanted)
    except (DatabaseError, InterfaceError, TemporarilyUnavailable) as error:
        last = _last(wanted)
        if last is None:
            raise
        cache.note_failure(wanted.number)
        _behind.warning("a status list could not be rebuilt; the last one is served", error=error)
        return last
    return made


def _instead(wanted: _List) -> Published | None:
    """Return the last list if rebuilding has just failed: one attempt a second suffices."""
    return _last(wanted) if cache.failed_lately(wanted.number) else None


def _last(wanted: _List) -> Published | None:
    _, last = cache.known(wanted.number)
    return last if last is not None and clock.now().timestamp() < last.expires_at else None


def addresses() -> list[str]:
    """Return the URLs of all lists with valid tokens, and of the next one."""
    newest = _newest() >> _BITS
    first, *older = _keys()
    lists = [_List(newest + 1, first)]
    for tokens in range(newest, -1, -1):
        if tokens < newest and _began_long_ago(tokens + 1):
            break
        if tokens == newest or not _is_over(tokens):
            lists += [_List(tokens, key) for key in (first, *older)]
    return [found.uri for found in lists]


def _find(name: str) -> _List:
    # Only one spelling of a number: `sub` and the URL must be equal (section 8.3)
    if not _NAME.fullmatch(name):
        raise UnknownList(name)
    number = int(name)
    tokens, fingerprint = number >> _FINGERPRINT_BITS, number & ((1 << _FINGERPRINT_BITS) - 1)
    for key in _keys():
        if key.fingerprint == fingerprint and tokens < _MOST:
            return _List(tokens, key)
    raise UnknownList(name)


def _make(wanted: _List) -> Published:
    began, now = time.monotonic(), clock.now()
    generation, before = cache.known(wanted.number)
    _check(wanted.tokens)
    marked = invalid_tokens.ids(wanted.range, now)
    first = wanted.range.start
    indices = wanted.shuffle.each(token - first for token in marked)
    statuses = StatusList.marking(SIZE, indices)
    made = _signed(wanted, statuses, now, before)
    made = replace(made, looked_at=now.timestamp(), generation=generation)
    cache.keep(wanted.number, made, began)
    return made


def _signed(
    wanted: _List, statuses: StatusList, now: datetime, before: Published | None
) -> Published:
    signer, lifetime = signing_keys.signer(), conf.status_list_lifetime
    claims: dict[str, Any] = {"iss": conf.issuer, "sub": wanted.uri, "ttl": conf.status_list_ttl}
    content = hashlib.sha256(json.dumps([claims, lifetime]).encode() + statuses.packed).digest()
    seconds = int(now.timestamp())
    # The same bytes again, so that verifiers get 304
    if before is not None and (before.statuses, before.kid) == (content, signer.kid):
        is_past_half = seconds >= before.expires_at - lifetime // 2
        if before.issued_at <= seconds and not is_past_half:
            return before
    mine = cache.mine(wanted.number)
    issued_at = seconds if mine is None else max(seconds, mine.issued_at)
    expires_at = issued_at + lifetime
    # Section 5.1
    claims |= {"iat": issued_at, "exp": expires_at, "status_list": statuses.as_json()}
    token = jose.sign(claims, signer, typ=names.STATUS_LIST_TYP).encode()
    zipped = gzip.compress(token, mtime=0)
    return Published(token, zipped, content, signer.kid, issued_at, expires_at, 0, None)


def _check(tokens: int) -> None:
    newest = _newest() >> _BITS
    # The next list is served before its first token, for early verifiers
    if tokens > newest + 1:
        raise UnknownList(tokens)
    if tokens < newest and (_began_long_ago(tokens + 1) or _is_over(tokens)):
        raise ExpiredList(tokens)


def _newest() -> int:
    return AccessToken.objects.order_by("-pk").values_list("pk", flat=True).first() or 0


def _began_long_ago(tokens: int) -> bool:
    later = AccessToken.objects.filter(pk__gte=tokens << _BITS).order_by("pk")
    began = later.values_list("issued_at", flat=True).first()
    return began is not None and began < invalid_tokens.since(clock.now())


def _is_over(tokens: int) -> bool:
    # Of a full list
    now = clock.now() - invalid_tokens.SKEW
    inside = invalid_tokens.inside(_List(tokens, _keys()[0]).range)
    newest = inside.order_by("-pk").values_list("expires_at", flat=True).first()
    if newest is not None and newest > now:
        return False
    ends = cache.ends(tokens)
    if ends is None:
        last = inside.aggregate(last=Max("expires_at"))["last"]
        ends = 0.0 if last is None else last.timestamp()
        cache.keep_end(tokens, ends)
    return ends <= now.timestamp()


def _keys() -> list[_Key]:
    return [_derived(secret) for secret in conf.secrets]


@lru_cache(maxsize=16)
def _derived(secret: str) -> _Key:
    key = secrets.derive_key(secret, "status-lists")
    fingerprint = hashlib.sha256(b"fingerprint" + key).digest()[: _FINGERPRINT_BITS // 8]
    return _Key(key, int.from_bytes(fingerprint, "big"))
