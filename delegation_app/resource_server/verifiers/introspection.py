"""Verification by introspection at the authorization server (RFC 7662)."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from delegation_app.client.client import Client
from delegation_app.client.credentials import Credentials
from delegation_app.client.errors import ClientError
from delegation_app.client.http.transport import Transport
from delegation_app.protocol import jose
from delegation_app.protocol.errors import InvalidToken, TemporarilyUnavailable
from delegation_app.protocol.printable import logger_for
from delegation_app.protocol.verified_token import VerifiedToken
from delegation_app.resource_server.verifiers.base import (
    DEFAULT_SIZE,
    CachingVerifier,
    VerifiedEntry,
)

logger = logger_for(__name__)

CACHE_SECONDS: Final = 2.0


class IntrospectionVerifier(CachingVerifier):
    """Verifies by introspection: for opaque tokens, or for revocation with immediate effect.

    Safe to share between threads.

    Args:
        issuer: the identifier of the authorization server, an https URL.
        audience: the identifier of this resource server, the required value of `aud`.
        client_id, client_secret: the client of this resource server.
        cache_seconds: how long a positive response is cached; 0 introspects each time.
        cache_size: the number of cached responses.
        skew_seconds: the allowed difference of the issuer's clock.
        transport: sends the requests.
        clock: returns seconds since the epoch.

    Raises:
        ValueError: the issuer, the audience or a credential is missing.
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
        super().__init__(
            issuer, audience, cache_size=cache_size, skew_seconds=skew_seconds, clock=clock
        )
        # RFC 7662 section 2.1: the endpoint requires authentication
        if not client_id or not client_secret:
            raise ValueError("introspection needs a client id and a secret")
        self._client = Client(issuer, Credentials(client_id, client_secret), transport=transport)
        self._cache_seconds = cache_seconds

    def _is_current(self, entry: VerifiedEntry, now: float) -> bool:
        return 0 <= now - entry.stamp < self._cache_seconds

    def _verify(self, text: str, now: float) -> VerifiedEntry:
        if not text or not text.isprintable():
            raise _invalid("form")
        try:
            response = self._client.introspect(text)
        except ClientError as error:
            logger.warning("a token could not be introspected: %s", error)
            raise TemporarilyUnavailable("Try again in a moment.", detail=str(error)) from error
        # RFC 7662 section 2.2: `active` is false for any token that is not valid here
        if response["active"] is not True:
            raise _invalid("not active")
        # RFC 7662 section 4: the response is checked like the claims of a token
        if response.get("iss", self._issuer) != self._issuer:
            raise _invalid(jose.mismatch("iss", expected=self._issuer, got=response["iss"]))
        jose.check_times(response, now, skew=self._skew)
        token = VerifiedToken.of(response)
        token.require(self._audience)
        return VerifiedEntry(token, now)

    def _check_status(self, token: VerifiedToken) -> None:
        """Nothing to do: introspection covers revocation."""


def _invalid(cause: str) -> InvalidToken:
    return InvalidToken("The access token is not valid.", detail=f"introspection: {cause}")
