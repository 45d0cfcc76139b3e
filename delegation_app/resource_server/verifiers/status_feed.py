"""The issuer's status lists, kept in memory and asked for again and again."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from delegation_app.client.errors import ClientError
from delegation_app.client.http.transport import Request, Response, Transport
from delegation_app.protocol import jose, names
from delegation_app.protocol.errors import InvalidToken, TemporarilyUnavailable
from delegation_app.protocol.printable import logger_for
from delegation_app.protocol.status_list import InvalidStatusList, StatusList, StatusReference
from delegation_app.resource_server.verifiers.fork_safe import Locked
from delegation_app.resource_server.verifiers.keys import PublishedKeys

logger = logger_for(__name__)

MEDIA_TYPE: Final = "application/statuslist+jwt"
# Base64 of the longest list that is read
MAX_LENGTH: Final = 8 * 1024 * 1024
_MOST_LISTS: Final = 64
# Longer than a token lives without being used
_FORGOTTEN_AFTER: Final = 3600.0
_OK: Final = 200
_NOT_MODIFIED: Final = 304
_NEVER: Final = float("-inf")


@dataclass(slots=True)
class _CachedList:
    """One list, and how recent it is."""

    statuses: StatusList | None = None
    etag: str = ""
    issued_at: int = 0
    expires_at: int = 0
    # On the clock that never goes back: as of when it is known to be right, when it was last asked
    # for, and when a token last needed it
    right_at: float = _NEVER
    asked_at: float = _NEVER
    used_at: float = _NEVER


class StatusFeed(Locked):
    """The status of tokens of one issuer.

    Args:
        issuer: whose lists they are. Lists at other origins are never asked for.
        keys: with which the lists are signed.
        transport: what sends the requests.
        max_staleness: how many seconds after the last answer a list is still relied on.
        retry_seconds: how long a list that could not be had is left alone by requests.
        skew_seconds: how many seconds the issuer's clock may differ.
        clock: seconds since the epoch.
        monotonic: seconds that never go back.
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
        """Refuse a token that was revoked.

        Args:
            reference: from a token that was verified already (section 8.3).

        Raises:
            InvalidToken: its status is another than VALID, or the list has no such entry.
            TemporarilyUnavailable: its list can't be had, or is older than it may be.

        Side effects: network the first time that a list is needed.
        """
        held = self._lists.get(reference.uri)
        if held is None or held.statuses is None:
            held = self._first(reference.uri)
        moment = self._monotonic()
        held.used_at = moment
        # Fail closed: what nobody could tell for so long may have been revoked since
        if held.statuses is None or moment - held.right_at > self._max_staleness:
            raise _unknown("the status list is too old")
        # Section 8.3: after `exp` a list must not be relied on
        if held.expires_at <= self._clock() - self._skew:
            raise _unknown("the status list has expired")
        try:
            status = held.statuses[reference.index]
        except IndexError as error:
            # Section 8.3: "index out of range ... MUST reject"
            raise _invalid("status index") from error
        # Section 7.1: 0x00 is VALID, and every other one is some reason not to take it
        if status:
            raise _invalid("status")

    def refresh(self) -> None:
        """Ask again for every list that tokens needed lately.

        Side effects: one request for each.
        """
        for uri, held in list(self._lists.items()):
            if self._monotonic() - held.used_at > _FORGOTTEN_AFTER:
                self._lists.pop(uri, None)
            else:
                self._ask(uri, held)

    def _first(self, uri: str) -> _CachedList:
        # Whatever a token says, nobody else is asked
        if not uri.startswith(self._origin):
            raise _invalid("the status list of another origin")
        with self._lock:
            held = self._lists.setdefault(uri, _CachedList(used_at=self._monotonic()))
            if held.statuses is None and self._may_ask(held):
                self._ask(uri, held)
            if len(self._lists) > _MOST_LISTS:
                self._lists.pop(min(self._lists, key=lambda name: self._lists[name].used_at))
        return held

    def _may_ask(self, held: _CachedList) -> bool:
        return self._monotonic() - held.asked_at >= self._retry_seconds

    def _ask(self, uri: str, held: _CachedList) -> None:
        # As of now, not as of the answer: what was revoked in between may not be in it
        held.asked_at = self._monotonic()
        headers = {"Accept": MEDIA_TYPE}
        if held.etag:
            headers["If-None-Match"] = held.etag
        try:
            self._take(uri, held, self._transport.send(Request("GET", uri, headers)))
        except (ClientError, ValueError, InvalidToken) as error:
            logger.warning("the status list %s could not be read: %s", uri, error)

    def _take(self, uri: str, held: _CachedList, answer: Response) -> None:
        # RFC 9111 section 5.1: the list is as old as an issuer without its database, or a cache on
        # the way, says
        right_at = held.asked_at - _age(answer)
        if answer.status == _NOT_MODIFIED and held.statuses is not None:
            held.right_at = max(held.right_at, right_at)
            return
        if answer.status != _OK:
            raise ValueError(f"the answer has the status {answer.status}")
        claims = jose.verify(
            answer.body.decode(),
            self._keys.get,
            typ=names.STATUS_LIST_TYP,
            issuer=self._issuer,
            now=self._clock(),
            skew=self._skew,
            max_length=MAX_LENGTH,
        )
        # Section 5.1: `sub` is the address of the list, or it is another list
        if claims.get("sub") != uri:
            raise InvalidStatusList("its subject is another list")
        # An older list than the one we have would bring revoked tokens back
        if claims["iat"] < held.issued_at or right_at < held.right_at:
            raise InvalidStatusList("it is older than the one before")
        held.statuses = StatusList.parse(claims.get("status_list"))
        held.issued_at, held.expires_at = claims["iat"], claims["exp"]
        held.etag = answer.headers.get("etag", "")
        held.right_at = right_at


def _age(answer: Response) -> int:
    text = answer.headers.get("age", "")
    # Longer than that is longer than any list may be relied on
    return int(text[:9]) if text.isascii() and text.isdecimal() else 0


def _invalid(cause: str) -> InvalidToken:
    return InvalidToken("The access token is not valid.", detail=cause)


def _unknown(cause: str) -> TemporarilyUnavailable:
    return TemporarilyUnavailable("Try again in a moment.", detail=cause)
