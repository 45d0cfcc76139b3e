"""Verifying access tokens by asking the server that issued them (RFC 7662)."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from delegation_app.client.client import Client
from delegation_app.client.credentials import Credentials
from delegation_app.client.errors import ClientError
from delegation_app.client.http.transport import Transport
from delegation_app.protocol import jose
from delegation_app.protocol.errors import InvalidToken, TemporarilyUnavailable
from delegation_app.protocol.printable import logger_for
from delegation_app.protocol.verified_token import Call, VerifiedToken
from delegation_app.resource_server.verifiers.token_cache import (
    DEFAULT_SIZE,
    VerifiedTokenCache,
    digest_of,
)

logger = logger_for(__name__)

CACHE_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class _CachedAnswer:
    token: VerifiedToken
    at: float


class IntrospectionVerifier:
    """Verifies by introspection: for opaque tokens, or where a revocation must be felt at once.

    Safe to share between threads.

    Args:
        issuer: the identifier of the authorization server, an https URL.
        audience: the identifier of this resource server, which must stand in `aud`.
        client_id, client_secret: as whom to ask; a client of this resource server.
        cache_seconds: how long a good answer is relied on; 0 asks each time.
        cache_size: how many good answers are remembered.
        skew_seconds: how many seconds the issuer's clock may differ.
        transport: what sends the requests.
        clock: seconds since the epoch.

    Raises:
        ValueError: there is no issuer, no audience or no secret.
    """

    def __init__(  # noqa: PLR0913 - each is a setting of its own
        self,
        issuer: str,
        audience: str,
        *,
        client_id: str,
        client_secret: str,
        cache_seconds: float = CACHE_SECONDS,
        cache_size: int = DEFAULT_SIZE,
        skew_seconds: float = jose.SKEW_SECONDS,
        transport: Transport | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        # RFC 9700 section 2.3: whoever does not know its own name takes tokens for others
        if not issuer or not audience:
            raise ValueError("a verifier needs an issuer and an audience")
        # RFC 7662 section 2.1: the endpoint answers those only who say who they are
        if not client_id or not client_secret:
            raise ValueError("introspection needs a client id and a secret")
        self._issuer = issuer
        self._audience = audience
        self._client = Client(issuer, Credentials(client_id, client_secret), transport=transport)
        self._cache_seconds = cache_seconds
        self._skew = skew_seconds
        self._clock = clock
        self._seen = VerifiedTokenCache[_CachedAnswer](cache_size)

    @property
    def audience(self) -> str:
        """The identifier of the resource server that verifies."""
        return self._audience

    def verify(self, text: str, call: Call = Call()) -> VerifiedToken:
        """Verify an access token.

        Args:
            text: the token as presented.
            call: what is done with it.

        Raises:
            InvalidToken: anything is wrong; the description does not say what.
            OutsideLimits: the token is good, but a constraint does not permit this call.
            TemporarilyUnavailable: the server does not answer, or not as it should.

        Side effects: network, unless it answered for this token just now.
        """
        if not text or len(text) > jose.MAX_TOKEN_LENGTH or not text.isprintable():
            raise _invalid("form")
        now = self._clock()
        digest = digest_of(text)
        told = self._seen.get(digest)
        if told is None or not 0 <= now - told.at < self._cache_seconds:
            told = _CachedAnswer(self._asked(text, now), now)
            self._seen.put(digest, told)
        jose.check_times(told.token.claims, now, skew=self._skew)
        told.token.enforce(self._audience, call, now)
        return told.token

    def _asked(self, text: str, now: float) -> VerifiedToken:
        try:
            answer = self._client.introspect(text)
        except ClientError as error:
            logger.warning("a token could not be introspected: %s", error)
            raise TemporarilyUnavailable("Try again in a moment.", detail=str(error)) from error
        return self._judged(answer, now)

    def _judged(self, answer: Mapping[str, Any], now: float) -> VerifiedToken:
        # RFC 7662 section 2.2: nothing else is said of a token that is not active
        if answer.get("active") is not True:
            raise _invalid("not active")
        # RFC 7662 section 4: what the answer says is checked as if it stood in the token
        if answer.get("iss", self._issuer) != self._issuer:
            raise _invalid(jose.mismatch("iss", expected=self._issuer, got=answer["iss"]))
        jose.check_times(answer, now, skew=self._skew)
        token = VerifiedToken.of(answer)
        token.require(self._audience)
        return token


def _invalid(cause: str) -> InvalidToken:
    return InvalidToken("The access token is not valid.", detail=f"introspection: {cause}")
