"""Tokens in a service's own name, kept for as long as they are good (RFC 6749 section 4.4)."""

from __future__ import annotations

from delegation_app.client.cache.token_cache import key_of
from delegation_app.client.client import Client
from delegation_app.client.target import Names, Target
from delegation_app.client.tokens import Tokens


class ClientCredentials:
    """A token for one audience and scope, whenever it is needed.

    Args:
        client: who asks. Tokens are kept in its cache, so any number of these share them.
        audience: the service that is called; None for the server's choice.
        scope: what is needed there; None for the server's choice.

    Raises:
        ValueError: an audience or a scope is none.
    """

    def __init__(
        self, client: Client, *, audience: Names | None = None, scope: Names | None = None
    ) -> None:
        self._client = client
        self._wanted = Target.of(audience, scope)
        self._key = key_of(client.issuer, client.credentials.client_id, self._wanted)

    def token(self) -> Tokens:
        """Return a token that is good for a while.

        Raises:
            ClientError: there is none, and none could be had.

        Side effects: network, now and then.
        """
        return self._client.cache.get(self._key, self._ask)

    def forget(self, access_token: str) -> None:
        """Forget a token that a service refused."""
        self._client.cache.forget(self._key, access_token)

    def _ask(self) -> Tokens:
        return self._client.client_credentials(
            audience=self._wanted.audience, scope=self._wanted.scope
        )
