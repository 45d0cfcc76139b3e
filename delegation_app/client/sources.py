"""Tokens that a client obtains when they are needed and caches until they expire."""

from __future__ import annotations

from typing import Protocol

from delegation_app.client.cache.token_cache import Key, key_of
from delegation_app.client.client import Client
from delegation_app.client.tokens import Names, Target, Tokens


class TokenSource(Protocol):
    """Where a token comes from."""

    def token(self) -> Tokens:
        """Return a usable token."""
        ...

    def forget(self, access_token: str) -> None:
        """Remove a token that a service refused."""
        ...


class ClientCredentials:
    """A token that the client obtains for itself (RFC 6749 section 4.4).

    Args:
        client: the requesting client. Its cache is shared by all sources.
        audience: the called service; None for the server's default.
        scope: the required scope; None for the server's default.

    Raises:
        ValueError: an audience or a scope is malformed.
    """

    def __init__(
        self, client: Client, *, audience: Names | None = None, scope: Names | None = None
    ) -> None:
        self._client = client
        self.target = Target.of(audience, scope)
        self._key = self._key_for(None)

    def token(self) -> Tokens:
        """Return a usable token.

        Raises:
            ClientError: none is cached and the request failed.

        Side effects: network, unless a token is cached.
        """
        return self._client.cache.get(self._key, self._fetch)

    def forget(self, access_token: str) -> None:
        """Remove a token that a service refused."""
        self._client.cache.forget(self._key, access_token)

    def _key_for(self, subject_token: str | None) -> Key:
        client = self._client
        return key_of(client.issuer, client.credentials.client_id, self.target, subject_token)

    def _fetch(self) -> Tokens:
        return self._client.client_credentials(
            audience=self.target.audience, scope=self.target.scope
        )


class Exchange(ClientCredentials):
    """A token that an incoming token is exchanged for (RFC 8693). Create one per request.

    The cache key has the digest of the incoming token, so the next request with the same token
    finds the cached one.

    Args:
        client: the exchanging client.
        subject_token: the access token of the incoming request.
        audience: the service to call next.
        scope: the required scope; None for everything that may be delegated onward.
        subject_expires_at: when the subject token expires, in seconds since the epoch, if known. A
            cached token is not returned after that.

    Raises:
        ValueError: an audience or a scope is malformed, or the token is empty.
    """

    def __init__(
        self,
        client: Client,
        subject_token: str,
        *,
        audience: Names | None = None,
        scope: Names | None = None,
        subject_expires_at: float | None = None,
    ) -> None:
        if not subject_token:
            raise ValueError("There is no token to exchange.")
        super().__init__(client, audience=audience, scope=scope)
        self._subject_token = subject_token
        self._subject_expires_at = subject_expires_at
        self._key = self._key_for(subject_token)

    def token(self) -> Tokens:
        """Return a usable token.

        Raises:
            InvalidRequestError: the incoming token is not valid (any more).
            InvalidTargetError: the authority does not extend to that audience.
            ClientError: none is cached and the request failed.

        Side effects: network, unless a token is cached.
        """
        expires_at = self._subject_expires_at
        return self._client.cache.get(self._key, self._fetch, not_after=expires_at)

    def _fetch(self) -> Tokens:
        return self._client.exchange(
            self._subject_token, audience=self.target.audience, scope=self.target.scope
        )
