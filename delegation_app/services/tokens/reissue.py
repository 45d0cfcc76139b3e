"""Issuing the first tokens of a delegation again, in place of tokens that no client received."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime
from threading import Lock
from typing import Final

from django.core.cache import caches

from delegation_app import clock
from delegation_app.conf import conf
from delegation_app.events import TOKEN_REISSUED
from delegation_app.models import AccessToken, Delegation, RefreshToken
from delegation_app.protocol.errors import OutcomeUnknown
from delegation_app.protocol.printable import logger_for
from delegation_app.protocol.secrets import digest
from delegation_app.services import audit
from delegation_app.services.status_lists import cache
from delegation_app.services.tokens import issuing
from delegation_app.services.tokens.issuing import Issued, TokenParameters

_AGAIN: Final = issuing.IssueOptions(event=TOKEN_REISSUED, is_counted=False)


def is_unused(delegation: Delegation, jti: str | None = None) -> bool:
    """Whether a delegation is live, and none of its tokens was used as far as this server knows.

    Local verification leaves no trace; introspection, refreshes and exchanges do.

    Args:
        delegation: as locked.
        jti: if given, also require an unrevoked access token of the delegation with this id.
    """
    live = Delegation.objects.live().unpresented().filter(pk=delegation.pk)
    if jti is not None:
        live = live.filter(access_tokens__jti=jti, access_tokens__revoked_at=None)
    used = RefreshToken.objects.filter(delegation=delegation, consumed_at__isnull=False)
    return live.exists() and not used.exists()


def reissue(
    token: TokenParameters, granted: TokenParameters, origin: audit.RequestContext
) -> Issued:
    """End the tokens of a delegation, and issue its first ones again; see `issuing.issue_first`.

    Side effects: the rows of those tokens, and those of `issuing.issue_first`; not counted as a
    use. Call it inside a transaction that holds the root of the delegation.
    """
    delegation, now = token.delegation, clock.now()
    replace(delegation, now)
    # Not marked as used: that would count as a client that has received them
    RefreshToken.objects.filter(delegation=delegation, expires_at__gt=now).update(expires_at=now)
    return issuing.issue_first(token, granted, origin, _AGAIN)


def replace(delegation: Delegation, now: datetime, *, jtis: Collection[str] | None = None) -> None:
    """End the access tokens of a delegation that another one replaces.

    Args:
        delegation: as locked.
        now: the present (UTC).
        jtis: the ids of the tokens; all of the delegation if left out.

    Side effects: the rows of those tokens.
    """
    ended = AccessToken.objects.filter(delegation=delegation, revoked_at=None)
    if jtis is not None:
        ended = ended.filter(jti__in=jtis)
    ended.update(revoked_at=now)
    cache.changed()


logger = logger_for("delegation_app")

# The longest outage of a database that costs no client its tokens
SECONDS: Final = 3600
_MOST: Final = 1000
_NAME: Final = "delegation:lost-answer:"


class _LocalAnswers:
    """Lost responses known to this process without a cache: token id and end, by digest."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.kept: OrderedDict[str, tuple[str, float]] = OrderedDict()


_local = _LocalAnswers()


@contextmanager
def noted(secret: str) -> Iterator[None]:
    """Note the token issued for a secret on `OutcomeUnknown`, and re-raise the error.

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
    """Return the `jti` of a response lost in the last `SECONDS`; None if none is known."""
    with _local.lock:
        jti, until = _local.kept.get(secret_digest, ("", 0.0))
    if until > time.monotonic():
        return jti
    try:
        known = caches[conf.cache].get(_NAME + secret_digest)
    # Any error of any backend: without a cache, the process knows less
    except Exception:
        logger.exception("the cache failed")
        return None
    return known if isinstance(known, str) else None


def forget() -> None:
    """Drop all entries, as in a new process."""
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
