"""Verifying access tokens without a call for each: signature, claims, status list."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from delegation_app.client import discovery
from delegation_app.client.http.transport import HttpTransport, Transport
from delegation_app.protocol import jose, names
from delegation_app.protocol.errors import InvalidToken
from delegation_app.protocol.verified_token import Call, VerifiedToken
from delegation_app.resource_server.verifiers.keys import PublishedKeys
from delegation_app.resource_server.verifiers.poller import Poller
from delegation_app.resource_server.verifiers.status_feed import MAX_LENGTH, StatusFeed
from delegation_app.resource_server.verifiers.token_cache import (
    DEFAULT_SIZE,
    VerifiedTokenCache,
    digest_of,
)

POLL_SECONDS: Final = 5.0
MAX_STALENESS: Final = 15.0
KEY_COOLDOWN: Final = 10.0


@dataclass(frozen=True, slots=True)
class Clocks:
    """Where the time comes from; other ones are for tests.

    Attributes:
        wall: seconds since the epoch.
        steady: seconds that never go back.
    """

    wall: Callable[[], float] = time.time
    steady: Callable[[], float] = time.monotonic


@dataclass(frozen=True, slots=True)
class _Known:
    token: VerifiedToken
    generation: int


class OfflineVerifier:
    """Verifies with the issuer's published keys and its status lists.

    A request makes a network call only for the first token of all, and for the first one of a
    status list. After that a thread asks for the lists every `poll_seconds`, and for the keys.
    Safe to share between threads, and it goes on in a forked process.

    Args:
        issuer: the identifier of the authorization server, an https URL.
        audience: the identifier of this resource server, which must stand in `aud`.
        jwks_uri: where the keys are; found by discovery (RFC 8414) if left out.
        poll_seconds: how often the status lists are asked for. With 0 there is no thread, and you
            call `refresh`.
        max_staleness: how many seconds without an answer a list is still relied on. After that
            nobody can tell whether a token was revoked, and it is refused.
        skew_seconds: how many seconds the issuer's clock may differ: a token is taken that long
            before its time and after its end.
        check_status: false takes every token until it expires, revoked or not.
        cache_size: how many verified tokens are remembered.
        transport: what sends the requests.
        clocks: where the time comes from.

    Raises:
        ValueError: there is no issuer or no audience.
    """

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
        # RFC 9700 section 2.3: whoever does not know its own name takes tokens for others
        if not issuer or not audience:
            raise ValueError("a verifier needs an issuer and an audience")
        self._issuer, self._audience = issuer, audience
        self._skew, self._clock = skew_seconds, clocks.wall
        self._check_status = check_status
        sender = transport or HttpTransport(most_bytes=MAX_LENGTH)
        found = discovery.Discovery(issuer, sender)
        self._keys = PublishedKeys(
            lambda: jwks_uri or found.metadata().endpoint(discovery.JWKS),
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
        self._seen = VerifiedTokenCache[_Known](cache_size)
        self._poller = Poller(self.refresh, poll_seconds)

    @property
    def audience(self) -> str:
        """The identifier of the resource server that verifies."""
        return self._audience

    def verify(self, text: str, call: Call = Call()) -> VerifiedToken:
        """Verify an access token (RFC 9068 section 4).

        Args:
            text: the token as presented.
            call: what is done with it.

        Raises:
            InvalidToken: anything is wrong; the description does not say what.
            OutsideLimits: the token is good, but a constraint does not permit this call.
            TemporarilyUnavailable: there are no keys yet, or the status of the token can't be
                told: its list was never there, or is older than `max_staleness`.

        Side effects: network, see above.
        """
        self._poller.ensure()
        if len(text) > jose.MAX_TOKEN_LENGTH:
            raise InvalidToken("The access token is not valid.", detail="too long")
        now = self._clock()
        digest = digest_of(text)
        known = self._seen.get(digest)
        # A key that was withdrawn takes with it what it signed
        if known is None or known.generation != self._keys.generation:
            known = self._first_sight(text, now)
            self._seen.put(digest, known)
        token = known.token
        if token.expires_at <= now - self._skew:
            self._seen.forget(digest)
        # Again for one that was seen before: the same words in the log
        jose.check_times(token.claims, now, skew=self._skew)
        if self._check_status:
            self._require_status(token)
        token.enforce(self._audience, call, now)
        return token

    def refresh(self) -> None:
        """Ask for the status lists now, and for the keys unless that was just done.

        Side effects: network.
        """
        self._keys.refresh_if_due()
        self._statuses.refresh()

    def close(self) -> None:
        """End the thread. The verifier goes on with what it has, until that is too old."""
        self._poller.end()

    def _first_sight(self, text: str, now: float) -> _Known:
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
        return _Known(token, generation)

    def _key_for(self, kid: str) -> jose.VerificationKey | None:
        key = self._keys.get(kid)
        # Asked for beside this request, and once in a cooldown: anybody can make up a kid
        if key is None and self._keys.is_due():
            self._poller.wake()
        return key

    def _require_status(self, token: VerifiedToken) -> None:
        # What can't be revoked is not taken: every token of this server has a status
        if token.status is None:
            raise InvalidToken("The access token is not valid.", detail="no status")
        self._statuses.require_valid(token.status)
