"""The issuer's status lists in memory, refreshed regularly."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from delegation_app.client.errors import ClientError
from delegation_app.client.http.fork_safety import Locked
from delegation_app.client.http.transport import Request, Response, Transport
from delegation_app.protocol import jose, names
from delegation_app.protocol.errors import InvalidToken, TemporarilyUnavailable
from delegation_app.protocol.printable import logger_for
from delegation_app.protocol.status_list import InvalidStatusList, StatusList, StatusReference
from delegation_app.resource_server.verifiers.keys import PublishedKeys

logger = logger_for(__name__)

MEDIA_TYPE: Final = "application/statuslist+jwt"
# Of the JWT with the largest accepted list
MAX_LENGTH: Final = 8 * 1024 * 1024
_MAX_LISTS: Final = 64
# Longer than the lifetime of a token
_DROPPED_AFTER: Final = 3600.0
_OK: Final = 200
_NOT_MODIFIED: Final = 304
_NEVER: Final = float("-inf")


@dataclass(slots=True)
class _CachedList:
    """One list with its age."""

    statuses: StatusList | None = None
    etag: str = ""
    issued_at: int = 0
    expires_at: int = 0
    # Monotonic: when it was known to be current, last requested, and last used by a token
    current_at: float = _NEVER
    requested_at: float = _NEVER
    used_at: float = _NEVER


class StatusFeed(Locked):
    """The status of the tokens of one issuer.

    Args:
        issuer: the issuer of the lists. Lists at other origins are never requested.
        keys: that verify the lists.
        transport: sends the requests.
        max_staleness: seconds after the last response when a list is no longer used.
        retry_seconds: seconds until a token causes another request for an unavailable list.
        skew_seconds: the allowed difference of the issuer's clock.
        clock: returns seconds since the epoch.
        monotonic: returns monotonic seconds.
    """

    def __init__(
        self,
        issuer: str,
        keys: PublishedKeys,
        transport: Transport,
        *,
        max_staleness: float,
        retry_seconds: float,
        skew_seconds: float = jose.SKEW_SECONDS,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self._issuer = issuer
        parts = urlsplit(issuer)
        self._origin = f"{parts.scheme}://{parts.netloc}/"
        self._keys = keys
        self._transport = transport
        self._max_staleness = max_staleness
        self._retry_seconds = retry_seconds
        self._skew = skew_seconds
        self._clock = clock
        self._monotonic = monotonic
        self._lists: dict[str, _CachedList] = {}

    def require_valid(self, reference: StatusReference) -> None:
        """Refuse a revoked token.

        Args:
            reference: from a verified token (section 8.3).

        Raises:
            InvalidToken: its status is not VALID, or the list has no such entry.
            TemporarilyUnavailable: its list is unavailable or too old.

        Side effects: network for the first token of a list.
        """
        cached = self._lists.get(reference.uri)
        if cached is None or cached.statuses is None:
            cached = self._load(reference.uri)
        moment = self._monotonic()
        cached.used_at = moment
        # Fail closed: the token may have been revoked since
        if cached.statuses is None or moment - cached.current_at > self._max_staleness:
            raise _unknown("the status list is too old")
        # Section 8.3: an expired list must not be used
        if cached.expires_at <= self._clock() - self._skew:
            raise _unknown("the status list has expired")
        try:
            status = cached.statuses[reference.index]
        except IndexError as error:
            # Section 8.3: "index out of range ... MUST reject"
            raise _invalid("status index") from error
        # Section 7.1: 0x00 is VALID, and any other status is a reason to refuse
        if status:
            raise _invalid("status")

    def refresh(self) -> None:
        """Refresh all recently used lists.

        Side effects: one request per list.
        """
        for uri, cached in list(self._lists.items()):
            if self._monotonic() - cached.used_at > _DROPPED_AFTER:
                self._lists.pop(uri, None)
            else:
                self._fetch(uri, cached)

    def _load(self, uri: str) -> _CachedList:
        # A token cannot make this server call another origin
        if not uri.startswith(self._origin):
            raise _invalid("the status list of another origin")
        with self._lock:
            now = self._monotonic()
            cached = self._lists.setdefault(uri, _CachedList(used_at=now))
            if cached.statuses is None and now - cached.requested_at >= self._retry_seconds:
                self._fetch(uri, cached)
            if len(self._lists) > _MAX_LISTS:
                self._lists.pop(min(self._lists, key=lambda name: self._lists[name].used_at))
        return cached

    def _fetch(self, uri: str, cached: _CachedList) -> None:
        # The time of the request: a later revocation may be missing from the response
        cached.requested_at = self._monotonic()
        headers = {"Accept": MEDIA_TYPE}
        if cached.etag:
            headers["If-None-Match"] = cached.etag
        try:
            self._store(uri, cached, self._transport.send(Request("GET", uri, headers)))
        except (ClientError, ValueError, InvalidToken) as error:
            logger.warning("the status list %s could not be read: %s", uri, error)

    def _store(self, uri: str, cached: _CachedList, response: Response) -> None:
        # RFC 9111 section 5.1: the age at an issuer without its database, or in a cache on the way
        current_at = cached.requested_at - _age(response)
        if response.status == _NOT_MODIFIED and cached.statuses is not None:
            cached.current_at = max(cached.current_at, current_at)
            return
        if response.status != _OK:
            raise ValueError(f"the response has the status {response.status}")
        claims = jose.verify(
            response.body.decode(),
            self._keys.get,
            typ=names.STATUS_LIST_TYP,
            issuer=self._issuer,
            now=self._clock(),
            skew=self._skew,
            max_length=MAX_LENGTH,
        )
        # Section 5.1: `sub` is the address of the list
        if claims.get("sub") != uri:
            raise InvalidStatusList("its subject is not its address")
        # An older list would make revoked tokens valid again
        if claims["iat"] < cached.issued_at or current_at < cached.current_at:
            raise InvalidStatusList("it is older than the cached one")
        cached.statuses = StatusList.parse(claims.get("status_list"))
        cached.issued_at, cached.expires_at = claims["iat"], claims["exp"]
        cached.etag = response.headers.get("etag", "")
        cached.current_at = current_at


def _age(response: Response) -> int:
    text = response.headers.get("age", "")
    # Nine digits exceed any allowed staleness
    return int(text[:9]) if text.isascii() and text.isdecimal() else 0


def _invalid(cause: str) -> InvalidToken:
    return InvalidToken("The access token is not valid.", detail=cause)


def _unknown(cause: str) -> TemporarilyUnavailable:
    return TemporarilyUnavailable("Try again in a moment.", detail=cause)
