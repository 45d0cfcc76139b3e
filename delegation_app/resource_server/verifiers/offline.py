"""Verification without a network call per token: signature, claims and status list."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from delegation_app.client import discovery
from delegation_app.client.http.transport import HttpTransport, Transport
from delegation_app.protocol import jose, names
from delegation_app.protocol.errors import InvalidToken
from delegation_app.protocol.verified_token import VerifiedToken
from delegation_app.resource_server.verifiers.base import (
    DEFAULT_SIZE,
    CachingVerifier,
    VerifiedEntry,
)
from delegation_app.resource_server.verifiers.keys import PublishedKeys
from delegation_app.resource_server.verifiers.poller import Poller
from delegation_app.resource_server.verifiers.status_feed import MAX_LENGTH, StatusFeed

POLL_SECONDS: Final = 5.0
MAX_STALENESS: Final = 15.0
KEY_COOLDOWN: Final = 10.0


@dataclass(frozen=True, slots=True)
class Clocks:
    """The sources of time, which tests replace.

    Attributes:
        wall: returns seconds since the epoch.
        steady: returns monotonic seconds.
    """

    wall: Callable[[], float] = time.time
    steady: Callable[[], float] = time.monotonic


class OfflineVerifier(CachingVerifier):
    """Verifies with the issuer's published keys and its status lists (RFC 9068 section 4).

    Only the first token, and the first token of each status list, cause a network call in a
    request. After that a thread refreshes lists and keys every `poll_seconds`. Safe to share
    between threads and to use in a forked process.

    Args:
        issuer: the identifier of the authorization server, an https URL.
        audience: the identifier of this resource server, the required value of `aud`.
        jwks_uri: the URL of the keys; None for discovery (RFC 8414).
        poll_seconds: the interval of the thread; with 0 there is none, and the site calls
            `refresh`.
        max_staleness: seconds after which a list that cannot be refreshed is no longer used. Then
            tokens are refused, since they may be revoked.
        skew_seconds: the allowed difference of the issuer's clock: a token is accepted that long
            before its start and after its end.
        check_status: False accepts every token until it expires, even if revoked.
        cache_size: the number of remembered tokens.
        transport: sends the requests.
        clocks: the sources of time.

    Raises:
        ValueError: the issuer or the audience is missing.
    """

    _poller: Poller

    def __init__(  # noqa: PLR0913 - each is a setting of its own
        self,
        issuer: str,
        audience: str,
        *,
        jwks_uri: str | None = None,
        poll_seconds: float = POLL_SECONDS,
        max_staleness: float = MAX_STALENESS,
        skew_seconds: float = jose.SKEW_SECONDS,
        check_status: bool = True,
        cache_size: int = DEFAULT_SIZE,
        transport: Transport | None = None,
        clocks: Clocks = Clocks(),
    ) -> None:
        super().__init__(
            issuer, audience, cache_size=cache_size, skew_seconds=skew_seconds, clock=clocks.wall
        )
        self._checks_status = check_status
        sender = transport or HttpTransport(max_bytes=MAX_LENGTH)
        metadata = discovery.Discovery(issuer, sender)
        self._keys = PublishedKeys(
            lambda: jwks_uri or metadata.metadata().endpoint(discovery.JWKS),
            sender,
            cooldown=KEY_COOLDOWN,
            clock=clocks.steady,
        )
        self._statuses = StatusFeed(
            issuer,
            self._keys,
            sender,
            max_staleness=max_staleness,
            retry_seconds=POLL_SECONDS,
            skew_seconds=skew_seconds,
            clock=clocks.wall,
            monotonic=clocks.steady,
        )
        self._poller = Poller(self.refresh, poll_seconds)

    def refresh(self) -> None:
        """Refresh the status lists now, and the keys unless they were just refreshed.

        Side effects: network.
        """
        self._keys.refresh_if_due()
        self._statuses.refresh()

    def close(self) -> None:
        """Stop the thread. The verifier works until its lists are too old."""
        self._poller.end()

    def _is_current(self, entry: VerifiedEntry, _now: float) -> bool:
        # A withdrawn key invalidates the tokens that it signed
        return entry.stamp == self._keys.generation

    def _verify(self, text: str, now: float) -> VerifiedEntry:
        self._keys.require()
        generation = self._keys.generation
        claims = jose.verify(
            text,
            self._key_for,
            typ=names.ACCESS_TOKEN_TYP,
            issuer=self._issuer,
            now=now,
            skew=self._skew,
        )
        token = VerifiedToken.of(claims)
        token.require(self._audience)
        return VerifiedEntry(token, generation)

    def _check_status(self, token: VerifiedToken) -> None:
        if not self._checks_status:
            return
        # A token that cannot be revoked is refused: every token of this server has a status
        if token.status is None:
            raise InvalidToken("The access token is not valid.", detail="no status")
        self._statuses.require_valid(token.status)

    def _key_for(self, kid: str) -> jose.VerificationKey | None:
        key = self._keys.get(kid)
        # In the poller and once per cooldown, since any caller can invent a kid
        if key is None and self._keys.is_due():
            self._poller.wake()
        return key
