"""Requests of a test client with a token, without an authorization server.

A view sees `request.user` and `request.auth` as in production, and permissions, audience and
constraints are enforced. Only the signature is not verified: the token is a random text that a
replacement of the verifier recognizes. Other tokens go to the usual verifier. Blocks can be nested;
the innermost one of a test client counts. An `APIClient` under `force_authenticate` is not
affected, since the framework then reads no header.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

from django.test import Client as TestClient

from delegation_app.protocol.verified_token import Call, VerifiedToken, Verifier
from delegation_app.resource_server.principal import Principal
from delegation_app.testing.claims import CLIENT_ID, TokenAuthority, UserRow
from delegation_app.testing.fake_issuer import ISSUER
from delegation_app.testing.verifiers import Usual, replaced

_HEADER = "HTTP_AUTHORIZATION"


def acting_as(
    client: TestClient,
    *,
    on_behalf_of: UserRow | str | None = None,
    scope: str | Iterable[str] = "",
    audience: str | Iterable[str] = (),
    client_id: str = CLIENT_ID,
    actors: Sequence[str] = (),
    constraints: Sequence[Mapping[str, Any]] = (),
) -> AbstractContextManager[Principal]:
    """Send a token with each request of a test client, within a `with` block.

    Args:
        client: the `Client` of Django or the `APIClient` of Django REST framework.
        on_behalf_of: the principal: a user, a subject such as `user:7`, or None for the client
            acting for itself.
        scope: names separated by spaces, or an iterable of names.
        audience: the identifiers of resource servers; empty for that of the view.
        client_id: the client that received the delegation.
        actors: the client ids of the actors, the current actor first.
        constraints: limits as JSON objects, as in the claim `constraints`.

    Returns:
        A context manager; its value is the principal that a view finds in `request.user`.

    Raises, at the start of the block:
        TypeError: `client` is not a synchronous test client.
        InvalidScope: a scope name has a character that RFC 6749 section 3.3 does not allow.
        InvalidConstraint: a limit is unknown or malformed.

    Side effects: until the block ends, the header `Authorization` of the test client, and those of
        `delegation_app.testing.verifiers.replaced`.
    """
    authority = TokenAuthority(on_behalf_of, scope, audience, client_id, actors, constraints)
    return _acting(client, authority)


@contextmanager
def _acting(client: TestClient, authority: TokenAuthority) -> Iterator[Principal]:
    if not isinstance(client, TestClient):
        raise TypeError("acting_as needs Django's Client or the APIClient of the REST framework.")
    text, claims = f"acting-as-{secrets.token_urlsafe()}", authority.claims(ISSUER)

    def read(where: str) -> VerifiedToken:
        return VerifiedToken.of(claims if authority.audience else {**claims, "aud": where})

    with _sending(client, f"Bearer {text}"), replaced(_stand_in(text, read)):
        yield Principal.of(read(""))


@dataclass(frozen=True, slots=True)
class _StandIn:
    audience: str
    text: str
    read: Callable[[str], VerifiedToken]
    usual: Usual

    def verify(self, text: str, call: Call = Call()) -> VerifiedToken:
        if text != self.text:
            return self.usual().verify(text, call)
        token = self.read(self.audience)
        token.require(self.audience)
        token.enforce(self.audience, call, time.time())
        return token


def _stand_in(text: str, read: Callable[[str], VerifiedToken]) -> Callable[[str, Usual], Verifier]:
    return lambda audience, usual: _StandIn(audience, text, read, usual)


@contextmanager
def _sending(client: TestClient, header: str) -> Iterator[None]:
    # APIClient.credentials() takes precedence over the defaults
    credentials = getattr(client, "_credentials", {})
    kept = {name: value for name, value in credentials.items() if name != _HEADER}
    with (
        mock.patch.dict(client.defaults, {_HEADER: header}),
        mock.patch.dict(credentials, kept, clear=True),
    ):
        yield
