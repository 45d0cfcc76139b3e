"""Passing authority on: calling the next service in the name of whoever called this one.

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
    """Return a session whose calls carry a token that was exchanged for this request's.

    The exchange is made at the first call, and kept for further requests with the same token, never
    beyond its end. Nobody but the authorization server gets to see the token of this request.

    Args:
        request: one that a token let in.
        audience: the identifier of the service that is called.
        scope: what is needed there, and no more; None for all that may be handed on.
        origins: where the service is, if not where its identifier says.
        client: who exchanges; None is the client of the settings.
        total_seconds: how long one call may take in all.

    Raises:
        NotAuthenticated: the request brought no token.
        ImproperlyConfigured: the settings name no client.
        ValueError: an argument makes no sense.

    Side effects: none yet. A call of the session uses the network. It raises `ExchangeRefused`,
        `ExchangeFailed` or `ExchangeUnavailable` if there is no token for it, and what `requests`
        raises if the service does not answer. A status of the service, also 401 or 403, is an
        answer like any other.
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
    """Return the same for a session of your own: `session.get(url, auth=onward_auth(...))`.

    Args and Raises: see `on_behalf_of`.
    """
    token = request.auth
    # Read again, and kept nowhere: a token that nothing holds stands in no log
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
    return BearerAuth(_Telling(exchange), [audience] if origins is None else origins)


class OnBehalfOfMixin:
    """Mix it into a view that calls other services in the name of whoever called it.

    Attributes:
        onward_scope: what is needed there if a call names nothing else; None for all that may be
            handed on.
        onward_origins: where each service is, by its identifier, if that does not say so.
    """

    onward_scope: ClassVar[str | Iterable[str] | None] = None
    onward_origins: ClassVar[Mapping[str, str]] = {}

    def on_behalf_of(
        self, request: Request, audience: str, scope: str | Iterable[str] | None = None
    ) -> requests.Session:
        """Return a session whose calls carry the exchanged token; see the function of this name."""
        origin = self.onward_origins.get(audience)
        return on_behalf_of(
            request,
            audience,
            self.onward_scope if scope is None else scope,
            origins=None if origin is None else [origin],
        )


class _Telling:
    """An exchange whose failure is an answer to whoever called this service."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def token(self) -> Tokens:
        try:
            return self._exchange.token()
        except ClientError as error:
            raise exceptions.onward(error) from error

    def forget(self, access_token: str) -> None:
        self._exchange.forget(access_token)
