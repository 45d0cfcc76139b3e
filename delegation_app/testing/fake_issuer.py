"""An authorization server in memory: keys, metadata, tokens and status lists.

It imports neither Django nor a model, so that every resource server can use it, also with
`DATABASES = {}` and without Django.
"""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from delegation_app.client import discovery
from delegation_app.client.http.transport import NoAnswer, Request, Response
from delegation_app.protocol import jose, jwk, names
from delegation_app.protocol.errors import InvalidToken
from delegation_app.protocol.status_list import StatusList, StatusReference
from delegation_app.resource_server.verifiers.offline import Clocks, OfflineVerifier
from delegation_app.resource_server.verifiers.status_feed import MEDIA_TYPE
from delegation_app.testing.claims import CLIENT_ID, LIFETIME_SECONDS, TokenAuthority, UserRow

ISSUER: Final = "https://issuer.example.com"
AUDIENCE: Final = "https://service.example.com"

# Tokens per status list
_LIST_SIZE: Final = 65_536
# Longer than any test, also if it moves the clock
_LIST_LIFETIME: Final = 10 * 365 * 24 * 3600
_OK: Final = 200
_ALGORITHM: Final = "ES256"


class FakeIssuer:
    """Signs access tokens and publishes keys and status lists. It is its own `Transport`.

    Safe to share between threads.

    Args:
        issuer: its identifier, an https URL.
        audience: the default audience of its tokens.

    Raises:
        ValueError: `issuer` is not an https URL.

    Attributes:
        issuer: its identifier.
        audience: the default audience of its tokens.
        requests: the received requests, the oldest first.
    """

    def __init__(self, issuer: str = ISSUER, audience: str = AUDIENCE) -> None:
        self.issuer = issuer
        self.audience = audience
        self.requests: list[Request] = []
        self._metadata_url = discovery.request(issuer).url
        self._base = issuer.rstrip("/")
        private = jwk.generate(_ALGORITHM)
        self._published = jwk.public_jwk(private, _ALGORITHM)
        self._key = jose.SigningIdentity(self._published["kid"], _ALGORITHM, private)
        self._numbers = itertools.count()
        self._revoked: dict[str, set[int]] = {}
        self._verifiers: list[OfflineVerifier] = []
        self._lock = threading.Lock()

    def token(
        self,
        *,
        subject: UserRow | str | None = "user:1",
        scope: str | Iterable[str] = "",
        audience: str | Iterable[str] | None = None,
        client_id: str = CLIENT_ID,
        actors: Sequence[str] = (),
        constraints: Sequence[Mapping[str, Any]] = (),
        lifetime: int = LIFETIME_SECONDS,
        claims: Mapping[str, Any] | None = None,
    ) -> str:
        """Return a signed access token (RFC 9068).

        Args:
            subject: the principal: a user, a subject such as `user:7`, or None for the client
                acting for itself.
            scope: names separated by spaces, or an iterable of names.
            audience: the identifiers of resource servers; None for that of the issuer.
            client_id: the client that received the delegation.
            actors: the client ids of the actors, the current actor first.
            constraints: limits as JSON objects.
            lifetime: seconds until it expires; negative for an expired token.
            claims: further claims, which replace others; None removes a claim.

        Raises:
            InvalidScope: a scope name has a character that RFC 6749 section 3.3 does not allow.
            InvalidConstraint: a limit is unknown or malformed.

        Side effects: takes the next entry of the status list.
        """
        where = self.audience if audience is None else audience
        authority = TokenAuthority(subject, scope, where, client_id, actors, constraints, lifetime)
        members = authority.claims(self.issuer, self._next_reference()) | dict(claims or {})
        present = {name: value for name, value in members.items() if value is not None}
        return jose.sign(present, self._key, typ=names.ACCESS_TOKEN_TYP)

    def revoke(self, token: str) -> None:
        """Mark a token as revoked in its status list.

        Args:
            token: the text of a token of this issuer.

        Raises:
            ValueError: it is not a token of this issuer, or it has no status.

        Side effects: the verifiers from `verifier` refresh their status lists, so that the next
            call refuses the token. Other verifiers notice it when they poll.
        """
        try:
            _, claims = jose.unsigned(token, typ=names.ACCESS_TOKEN_TYP, issuer=self.issuer)
            reference = StatusReference.of(claims)
        except InvalidToken as error:
            raise ValueError("This is not a token of this issuer.") from error
        if reference is None or not reference.uri.startswith(self._base):
            raise ValueError("The token has no status at this issuer.")
        with self._lock:
            self._revoked.setdefault(reference.uri, set()).add(reference.index)
        for verifier in self._verifiers:
            verifier.refresh()

    def verifier(self, audience: str | None = None, **arguments: Any) -> OfflineVerifier:
        """Return a verifier that trusts this issuer and uses no network.

        It has no thread, and its status lists never become stale.

        Args:
            audience: the identifier of the resource server that verifies; None for that of the
                issuer.
            arguments: further arguments of `OfflineVerifier`.
        """
        # Looked up at each use, so that a test can freeze it
        clocks = Clocks(wall=lambda: time.time(), steady=lambda: 0.0)  # noqa: PLW0108
        defaults: dict[str, Any] = {"poll_seconds": 0, "transport": self, "clocks": clocks}
        verifier = OfflineVerifier(
            self.issuer, audience or self.audience, **{**defaults, **arguments}
        )
        self._verifiers.append(verifier)
        return verifier

    def send(self, request: Request) -> Response:
        """Answer a request, as a `Transport` does.

        Args:
            request: a GET of the metadata, the keys or a status list.

        Raises:
            NoAnswer: nothing is published at this address.

        Side effects: the request is appended to `requests`.
        """
        self.requests.append(request)
        documents = {self._metadata_url: self.metadata, self._jwks_url: self.jwks}
        if request.url in documents:
            body = json.dumps(documents[request.url]()).encode()
            return Response(_OK, {"content-type": "application/json"}, body)
        if request.url.startswith(f"{self._base}/oauth/status/"):
            body = self.status_list(request.url).encode()
            return Response(_OK, {"content-type": MEDIA_TYPE}, body)
        raise NoAnswer(f"the fake issuer has nothing at {request.url}")

    def metadata(self) -> dict[str, Any]:
        """Return the authorization server metadata (RFC 8414 section 2)."""
        return {
            "issuer": self.issuer,
            "jwks_uri": self._jwks_url,
            "authorization_endpoint": f"{self._base}/oauth/authorize",
            "token_endpoint": f"{self._base}/oauth/token",
            "response_types_supported": ["code"],
        }

    def jwks(self) -> dict[str, Any]:
        """Return the public keys (RFC 7517 section 5)."""
        return {"keys": [self._published]}

    def status_list(self, url: str) -> str:
        """Return the signed status list at an address.

        Args:
            url: the address, as it stands in the claim `status` of a token.
        """
        with self._lock:
            revoked = frozenset(self._revoked.get(url, ()))
        claims = {
            "iss": self.issuer,
            "sub": url,
            # Never earlier than a previous list, wherever a test moves the clock
            "iat": 0,
            "exp": int(time.time()) + _LIST_LIFETIME,
            "status_list": StatusList.marking(_LIST_SIZE, revoked).as_json(),
        }
        return jose.sign(claims, self._key, typ=names.STATUS_LIST_TYP)

    @property
    def _jwks_url(self) -> str:
        return f"{self._base}/oauth/jwks"

    def _next_reference(self) -> StatusReference:
        number, index = divmod(next(self._numbers), _LIST_SIZE)
        return StatusReference(f"{self._base}/oauth/status/{number + 1}", index)
