"""Tokens on behalf of whoever asked, kept for as long as they are good (RFC 8693)."""

from __future__ import annotations

from delegation_app.client.cache.token_cache import key_of
from delegation_app.client.client import Client
from delegation_app.client.target import Names, Target
from delegation_app.client.tokens import Tokens


class Exchange:
    """What one incoming token is exchanged for, whenever it is needed.

    Make one per request. The tokens are in the client's cache, under the digest of the incoming
    one, so the next request with the same token finds them.

    Args:
        client: who exchanges.
        subject_token: the access token that this service was called with.
        audience: the service that is called next.
        scope: what is needed there; None for all that may be handed on.
        subject_expires_at: when the subject token ends, in seconds since the epoch, if it is
            known. Nothing is handed out after that.

    Raises:
        ValueError: an audience or a scope is none, or the token is empty.
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
        self._client = client
        self._subject_token = subject_token
        self._wanted = Target.of(audience, scope)
        self._ends = subject_expires_at
        client_id = client.credentials.client_id
        self._key = key_of(client.issuer, client_id, self._wanted, subject_token)

    def token(self) -> Tokens:
        """Return a token that is good for a while.

        Raises:
            InvalidRequest: the incoming token is not valid (any more).
            InvalidTarget: it may not be handed on to that audience.
            ClientError: there is none, and none could be had.

        Side effects: network, unless the same was exchanged before.
        """
        return self._client.cache.get(self._key, self._ask, not_after=self._ends)

    def forget(self, access_token: str) -> None:
        """Forget a token that a service refused."""
        self._client.cache.forget(self._key, access_token)

    def _ask(self) -> Tokens:
        return self._client.exchange(
            self._subject_token, audience=self._wanted.audience, scope=self._wanted.scope
        )
