"""A client of one authorization server: every request is built, sent and judged here."""

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
from delegation_app.client.http.transport import HttpTransport, Request, Response, Transport, naming
from delegation_app.client.target import Names, Target
from delegation_app.client.tokens import Tokens
from delegation_app.protocol import names
from delegation_app.protocol.scope import Scope

_T = TypeVar("_T")


class Client:
    """Asks one authorization server, as one client. One per process is enough.

    Every call goes over the network; `ClientCredentials` and `Exchange` keep what they get.
    Safe to share between threads and to carry into a child process.

    Args:
        issuer: the identifier of the authorization server, https, or http on this machine.
        credentials: who asks.
        transport: what sends requests; `HttpTransport()` unless given.
        cache: where tokens are kept; one of its own unless given.
        now: seconds since the epoch.

    Raises:
        ValueError: that is no issuer.
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
        """Return where the endpoints are; see `Discovery`."""
        return self._discovery.metadata()

    def begin(
        self,
        redirect_uri: str,
        *,
        scope: Names | None = None,
        audience: Names | None = None,
        more: Mapping[str, str] | None = None,
    ) -> Attempt:
        """Start asking a person for consent: send them to `url`, and keep the attempt.

        Args:
            redirect_uri: where they come back to, exactly as registered.
            scope: names with spaces between them, or several; None for the server's choice.
            audience: the resource servers; None for the server's choice.
            more: further parameters, such as `prompt`.

        Raises:
            ClientError: the metadata can't be had, or names no support for PKCE.
            ValueError: an argument makes no sense.
        """
        wanted = Target.of(audience, scope)
        client_id = self.credentials.client_id
        return authorization_code.begin(self.metadata(), client_id, redirect_uri, wanted, more)

    def redeem(self, attempt: Attempt, callback: str) -> Tokens:
        """Judge what a person came back with, and redeem the code.

        Args:
            attempt: what they were sent with; it is used up, whatever comes of it.
            callback: the whole URL that they were redirected to.

        Raises:
            AccessDenied: the person said no.
            InvalidGrant: the code is used or too old; start anew.
            UnusableAnswer: it is no answer to this attempt, and nothing was sent.
            ClientError: see `errors`.
        """
        # RFC 9700 section 4.4: a code of another issuer is not for this one to see
        if attempt.issuer != self.issuer:
            raise UnusableAnswer("the attempt was started at another authorization server")
        code = authorization_code.judge(attempt, callback)
        asked = None if attempt.scope is None else Scope.parse(attempt.scope)
        return self._tokens(requests.redeem(self._token_endpoint(), self.credentials, code), asked)

    def client_credentials(
        self, *, audience: Names | None = None, scope: Names | None = None
    ) -> Tokens:
        """Ask for a token in the client's own name; `ClientCredentials` keeps it as well.

        Raises:
            ClientError: see `errors`.
            ValueError: an argument makes no sense, or the client is public.
        """
        wanted = Target.of(audience, scope)
        request = requests.client_credentials(self._token_endpoint(), self.credentials, wanted)
        return self._tokens(request, wanted.scope)

    def exchange(
        self,
        subject_token: str,
        *,
        audience: Names | None = None,
        scope: Names | None = None,
        actor_token: str | None = None,
    ) -> Tokens:
        """Exchange a token that this client was sent; `Exchange` keeps what it gets as well.

        Args:
            subject_token: the access token of whoever asked this service.
            audience: the service that is asked next.
            scope: what is needed there; None for all that may be handed on.
            actor_token: the access token of whoever acts, if that is not this client.

        Raises:
            InvalidRequest: the subject token is not valid (any more).
            InvalidTarget: it may not be handed on to that audience.
            ClientError: see `errors`.
        """
        wanted = Target.of(audience, scope)
        endpoint = self._token_endpoint()
        request = requests.exchange(endpoint, self.credentials, subject_token, wanted, actor_token)
        return self._tokens(request, wanted.scope, names.ACCESS_TOKEN)

    def refresh(
        self, refresh_token: str, *, audience: Names | None = None, scope: Names | None = None
    ) -> Tokens:
        """Use a refresh token. Store the new one before anything else; the old one is used up.

        Args:
            refresh_token: the one of the last answer.
            audience, scope: less than was granted, for this access token alone.

        Raises:
            InvalidGrant: it is used up, expired or revoked; ask the person again.
            NoAnswer: nobody knows whether it was used; try again with the same one at once.
            ClientError: see `errors`.
        """
        wanted = Target.of(audience, scope)
        endpoint = self._token_endpoint()
        request = requests.refresh(endpoint, self.credentials, refresh_token, wanted)
        return self._tokens(request, wanted.scope)

    def revoke(self, token: str, *, hint: str | None = None) -> None:
        """Revoke a token of this client, and what hangs on it. One that is unknown is no error.

        Args:
            token: an access or refresh token.
            hint: `access_token` or `refresh_token`, which some servers find it faster by.

        Raises:
            ClientError: the token may still be good; with `temporary`, try again.
        """
        endpoint = self.metadata().endpoint(discovery.REVOCATION)
        self._ask(requests.about(endpoint, self.credentials, token, hint), responses.revoked)

    def introspect(self, token: str, *, hint: str | None = None) -> Mapping[str, Any]:
        """Ask what a token is worth; see RFC 7662 section 2.2 for what is answered.

        Raises:
            ClientError: nobody can tell, which is no reason to call the token good or bad.
        """
        endpoint = self.metadata().endpoint(discovery.INTROSPECTION)
        request = requests.about(endpoint, self.credentials, token, hint)
        return self._ask(request, responses.introspection)

    def _token_endpoint(self) -> str:
        return self.metadata().endpoint(discovery.TOKEN)

    def _tokens(self, request: Request, asked: Scope | None, issued: str | None = None) -> Tokens:
        # From before it is sent: a token lasts from when it is issued, not from when it is here
        now = self._now()
        judge = partial(responses.tokens, now=now, asked=asked, issued=issued)
        return self._ask(request, judge)

    def _ask(self, request: Request, judge: Callable[[Response], _T]) -> _T:
        with naming(request):
            return judge(self._transport.send(request))
