"""Calling the next service on behalf of the caller of this one.

with on_behalf_of(request, "https://service-b.example.com", "read:metrics") as service_b:
    report = service_b.get("https://service-b.example.com/report").json()
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar

import requests
from rest_framework.exceptions import NotAuthenticated
from rest_framework.request import Request

from delegation_app.client import BearerAuth, Client, ClientError, Exchange, Tokens, session
from delegation_app.protocol.verified_token import VerifiedToken
from delegation_app.resource_server import exceptions, runtime
from delegation_app.resource_server import request as resource_server_request

CALL_SECONDS = 30.0


def on_behalf_of(
    request: Request,
    audience: str,
    scope: str | Iterable[str] | None = None,
    *,
    origins: Iterable[str] | None = None,
    client: Client | None = None,
    total_seconds: float = CALL_SECONDS,
) -> requests.Session:
    """Return a session whose calls carry a token that the token of this request is exchanged for.

    The exchange takes place at the first call and is cached for further requests with the same
    token until that expires. Only the authorization server sees the token of this request.

    Args:
        request: a request with a valid token.
        audience: the identifier of the called service.
        scope: the required scope; None for everything that may be delegated onward.
        origins: the origins of the service, if its identifier is not one.
        client: the exchanging client; None for the client of the settings.
        total_seconds: the time limit for one call.

    Raises:
        NotAuthenticated: the request has no token.
        ImproperlyConfigured: the settings have no client.
        ValueError: an argument is malformed.

    Side effects: none yet. A call of the session uses the network. It raises `ExchangeRefused`,
        `ExchangeFailed` or `ExchangeUnavailable` if the exchange fails, and an exception of
        `requests` if the service does not respond. Any status of the service is returned.
    """
    auth = onward_auth(request, audience, scope, origins=origins, client=client)
    return session(auth, total_seconds=total_seconds)


def onward_auth(
    request: Request,
    audience: str,
    scope: str | Iterable[str] | None = None,
    *,
    origins: Iterable[str] | None = None,
    client: Client | None = None,
) -> BearerAuth:
    """Return the authentication for a session of the site: `session.get(url, auth=...)`.

    Args and Raises: see `on_behalf_of`.
    """
    token = request.auth
    # Read again rather than stored on the request, which could end up in a log
    text = resource_server_request.bearer_token(request)
    if not isinstance(token, VerifiedToken) or text is None:
        raise NotAuthenticated
    exchange = Exchange(
        runtime.client() if client is None else client,
        text,
        audience=audience,
        scope=scope,
        subject_expires_at=token.expires_at,
    )
    return BearerAuth(_OnwardExchange(exchange), [audience] if origins is None else origins)


class OnBehalfOfMixin:
    """For views that call other services on behalf of their caller.

    Attributes:
        onward_scope: the default scope; None for everything that may be delegated onward.
        onward_origins: the origin of each service by identifier, if that is not its origin.
    """

    onward_scope: ClassVar[str | Iterable[str] | None] = None
    onward_origins: ClassVar[Mapping[str, str]] = {}

    def on_behalf_of(
        self, request: Request, audience: str, scope: str | Iterable[str] | None = None
    ) -> requests.Session:
        """Return a session whose calls carry the exchanged token; see the function."""
        origin = self.onward_origins.get(audience)
        return on_behalf_of(
            request,
            audience,
            self.onward_scope if scope is None else scope,
            origins=None if origin is None else [origin],
        )


class _OnwardExchange:
    """An exchange whose failure becomes the response of this service."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def token(self) -> Tokens:
        try:
            return self._exchange.token()
        except ClientError as error:
            raise exceptions.onward(error) from error

    def forget(self, access_token: str) -> None:
        self._exchange.forget(access_token)
