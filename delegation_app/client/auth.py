"""Calling a service with `requests`, as the client itself or on behalf of the caller."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from requests import PreparedRequest, Response
from requests.auth import AuthBase

from delegation_app.client import urls
from delegation_app.client.client import Client
from delegation_app.client.errors import ClientError
from delegation_app.client.sources import ClientCredentials, Exchange, TokenSource
from delegation_app.client.tokens import Names, Tokens

_PREFIX = "Bearer "
# RFC 6750 section 3: one challenge among others; scheme and names are case-insensitive
_INVALID_TOKEN = re.compile(
    r'(?:^|[\s,])bearer\s(?:[^"]|"[^"]*")*?\berror\s*=\s*"?invalid_token\b', re.IGNORECASE
)


class BearerAuth(AuthBase):
    """Sends a token to some origins, and to no others.

    A request to another origin goes without a token. If the service answers `invalid_token`, the
    request is repeated once with a new token, unless its body cannot be read again.

    Args:
        source: where the token comes from.
        origins: URLs of the services that may see it; only scheme, host and port count.

    Raises:
        ValueError: there are none, or one is not https (http is for loopback only).
    """

    def __init__(self, source: TokenSource, origins: Iterable[str]) -> None:
        self._source = source
        self._origins = frozenset(_origin(url) for url in origins)
        if not self._origins:
            raise ValueError("Pass the origins that may receive the token.")

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Add the token (RFC 6750 section 2.1).

        Raises:
            ClientError: there is no token.

        Side effects: network, unless a token is cached.
        """
        if self._is_for(request):
            _put(request, self._source.token())
            retry = functools.partial(self._retry, position=_position(request.body))
            request.register_hook("response", retry)  # type: ignore[no-untyped-call] # its stubs say nothing
        return request

    def _retry(self, response: Response, *, position: int | None, **options: Any) -> Response:
        request = response.request
        sent = str(request.headers.get("Authorization", ""))
        # A session of the site may have followed a redirect to another origin
        if not (_refused(response) and sent.startswith(_PREFIX) and self._is_for(request)):
            return response
        self._source.forget(sent.removeprefix(_PREFIX))
        if not _can_rewind(request.body, position):
            return response
        return self._send_again(response, position, options)

    def _send_again(
        self, response: Response, position: int | None, options: dict[str, Any]
    ) -> Response:
        try:
            tokens = self._source.token()
        except ClientError:
            response.close()
            raise
        request = response.request.copy()
        if request.headers["Authorization"] == _PREFIX + tokens.access_token:
            return response
        _put(request, tokens)
        if position is not None:
            request.body.seek(position)  # type: ignore[union-attr] # `_can_rewind` looked
        response.close()
        # Straight to the adapter, which calls no hooks: there is no third attempt
        second: Response = response.connection.send(request, **options)
        second.request = request
        return second

    def _is_for(self, request: PreparedRequest) -> bool:
        return urls.origin_of(request.url or "") in self._origins


class AsService(BearerAuth):
    """Calls a service as the client itself.

    Args:
        client: the calling client.
        audience: the called service.
        scope: the required scope; None for the server's default.
        origins: the origins of the service, if its identifier is not one.

    Raises:
        ValueError: an argument is malformed.
    """

    def __init__(
        self,
        client: Client,
        audience: Names,
        scope: Names | None = None,
        *,
        origins: Iterable[str] | None = None,
    ) -> None:
        source = ClientCredentials(client, audience=audience, scope=scope)
        super().__init__(source, source.target.audience if origins is None else origins)


class OnBehalfOf(BearerAuth):
    """Calls a service on behalf of the caller of this one. Create one per request.

    Args:
        client: the calling client.
        subject_token: the access token of the incoming request, already verified.
        audience: the called service.
        scope: the required scope; None for everything that may be delegated onward.
        subject_expires_at: when the subject token expires, in seconds since the epoch.
        origins: the origins of the service, if its identifier is not one.

    Raises:
        ValueError: an argument is malformed.
    """

    def __init__(
        self,
        client: Client,
        subject_token: str,
        *,
        audience: Names,
        scope: Names | None = None,
        subject_expires_at: float | None = None,
        origins: Iterable[str] | None = None,
    ) -> None:
        source = Exchange(
            client,
            subject_token,
            audience=audience,
            scope=scope,
            subject_expires_at=subject_expires_at,
        )
        super().__init__(source, source.target.audience if origins is None else origins)


def _origin(url: str) -> str:
    origin = urls.origin_of(url)
    if origin is None or not urls.is_secure(url):
        raise ValueError("A token is sent to https origins or to loopback only; pass `origins`.")
    return origin


def _put(request: PreparedRequest, tokens: Tokens) -> None:
    request.headers["Authorization"] = _PREFIX + tokens.access_token


def _refused(response: Response) -> bool:
    # RFC 6750 section 3.1: another token only helps with this error code
    challenge = response.headers.get("WWW-Authenticate", "")
    return response.status_code == HTTPStatus.UNAUTHORIZED and bool(
        _INVALID_TOKEN.search(challenge[:4096])
    )


def _position(body: object) -> int | None:
    try:
        return int(body.tell()) if hasattr(body, "tell") else None
    except (OSError, ValueError):
        return None


def _can_rewind(body: object, position: int | None) -> bool:
    if body is None or isinstance(body, bytes | str):
        return True
    return position is not None and hasattr(body, "seek")
