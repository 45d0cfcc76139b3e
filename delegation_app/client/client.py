"""A client of one authorization server."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

from delegation_app.client import authorization_code, discovery, requests, responses
from delegation_app.client.authorization_code import Attempt
from delegation_app.client.cache.token_cache import TokenCache
from delegation_app.client.credentials import Credentials
from delegation_app.client.discovery import Discovery, Metadata
from delegation_app.client.errors import UnusableAnswer
from delegation_app.client.http.transport import (
    HttpTransport,
    Request,
    Response,
    Transport,
    with_address,
)
from delegation_app.client.tokens import Names, Target, Tokens
from delegation_app.protocol import names
from delegation_app.protocol.scope import Scope

_T = TypeVar("_T")


class Client:
    """Sends the requests of one client to one authorization server. One per process is enough.

    Every method uses the network; `ClientCredentials` and `Exchange` cache their tokens. It can be
    shared between threads, and a forked process can go on using it.

    Args:
        issuer: the identifier of the authorization server: https, or http on loopback.
        credentials: of the client.
        transport: sends the requests; a new `HttpTransport` by default.
        cache: of tokens; a new one by default.
        now: returns seconds since the epoch.

    Raises:
        ValueError: the issuer is malformed.
    """

    def __init__(
        self,
        issuer: str,
        credentials: Credentials,
        *,
        transport: Transport | None = None,
        cache: TokenCache | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.issuer = issuer
        self.credentials = credentials
        self.cache = TokenCache(now=now) if cache is None else cache
        self._transport = HttpTransport() if transport is None else transport
        self._discovery = Discovery(issuer, self._transport)
        self._now = now

    def metadata(self) -> Metadata:
        """Return the metadata of the authorization server; see `Discovery`."""
        return self._discovery.metadata()

    def begin(
        self,
        redirect_uri: str,
        *,
        scope: Names | None = None,
        audience: Names | None = None,
        extra: Mapping[str, str] | None = None,
    ) -> Attempt:
        """Return a new authorization request: store it, and redirect the user to its `url`.

        Args:
            redirect_uri: exactly as registered.
            scope: names separated by spaces, or an iterable of names; None for the server's
                default.
            audience: the resource servers; None for the server's default.
            extra: further parameters, such as `prompt`.

        Raises:
            ClientError: there is no metadata, or no support for PKCE.
            ValueError: an argument is malformed.

        Side effects: network, unless the metadata is cached.
        """
        target = Target.of(audience, scope)
        client_id = self.credentials.client_id
        return authorization_code.begin(self.metadata(), client_id, redirect_uri, target, extra)

    def redeem(self, attempt: Attempt, callback: str) -> Tokens:
        """Check an authorization response, and redeem its code.

        Args:
            attempt: the pending request; it is used up, even if this raises.
            callback: the whole URL that the user was redirected to.

        Raises:
            AccessDeniedError: the user declined.
            InvalidGrantError: the code is used or expired; start again.
            UnusableAnswer: the response does not belong to this request; nothing was sent.
            ClientError: see `errors`.
        """
        # RFC 9700 section 4.4: a code is never sent to another issuer
        if attempt.issuer != self.issuer:
            raise UnusableAnswer("the request went to another authorization server")
        code = authorization_code.judge(attempt, callback)
        scope = None if attempt.scope is None else Scope.parse(attempt.scope)
        return self._tokens(requests.redeem(self._token_endpoint(), self.credentials, code), scope)

    def client_credentials(
        self, *, audience: Names | None = None, scope: Names | None = None
    ) -> Tokens:
        """Obtain a token for the client itself; `ClientCredentials` also caches it.

        Raises:
            ClientError: see `errors`.
            ValueError: an argument is malformed, or the client is public.
        """
        target = Target.of(audience, scope)
        request = requests.client_credentials(self._token_endpoint(), self.credentials, target)
        return self._tokens(request, target.scope)

    def exchange(
        self,
        subject_token: str,
        *,
        audience: Names | None = None,
        scope: Names | None = None,
        actor_token: str | None = None,
    ) -> Tokens:
        """Exchange a token of an incoming request; `Exchange` also caches the result.

        Args:
            subject_token: the access token of the incoming request.
            audience: the service to call next.
            scope: the required scope; None for everything that may be delegated onward.
            actor_token: the access token of the actor, if that is not this client.

        Raises:
            InvalidRequestError: the subject token is not valid (any more).
            InvalidTargetError: the authority does not extend to that audience.
            ClientError: see `errors`.
        """
        target = Target.of(audience, scope)
        endpoint = self._token_endpoint()
        request = requests.exchange(endpoint, self.credentials, subject_token, target, actor_token)
        return self._tokens(request, target.scope, names.ACCESS_TOKEN)

    def refresh(
        self, refresh_token: str, *, audience: Names | None = None, scope: Names | None = None
    ) -> Tokens:
        """Use a refresh token. Store the new one first; the old one is used up.

        Args:
            refresh_token: of the previous response.
            audience, scope: a part of the grant, for this access token only.

        Raises:
            InvalidGrantError: it is used up, expired or revoked; ask the user again.
            NoAnswer: it may be used up; retry immediately with the same one.
            ClientError: see `errors`.
        """
        target = Target.of(audience, scope)
        endpoint = self._token_endpoint()
        request = requests.refresh(endpoint, self.credentials, refresh_token, target)
        return self._tokens(request, target.scope)

    def revoke(self, token: str, *, hint: str | None = None) -> None:
        """Revoke a token of this client with its delegation. An unknown token is no error.

        Args:
            token: an access or refresh token.
            hint: `access_token` or `refresh_token`, which speeds up some servers.

        Raises:
            ClientError: the token may still be valid; if `temporary`, retry.
        """
        endpoint = self.metadata().endpoint(discovery.REVOCATION)
        self._send(requests.about(endpoint, self.credentials, token, hint), responses.revoked)

    def introspect(self, token: str, *, hint: str | None = None) -> Mapping[str, Any]:
        """Return the introspection response for a token (RFC 7662 section 2.2).

        Raises:
            ClientError: the state of the token is unknown.
        """
        endpoint = self.metadata().endpoint(discovery.INTROSPECTION)
        request = requests.about(endpoint, self.credentials, token, hint)
        return self._send(request, responses.introspection)

    def _token_endpoint(self) -> str:
        return self.metadata().endpoint(discovery.TOKEN)

    def _tokens(self, request: Request, scope: Scope | None, issued: str | None = None) -> Tokens:
        # The time before sending: the lifetime counts from when the token is issued
        judge = partial(responses.tokens, now=self._now(), requested=scope, issued=issued)
        return self._send(request, judge)

    def _send(self, request: Request, judge: Callable[[Response], _T]) -> _T:
        with with_address(request):
            return judge(self._transport.send(request))
