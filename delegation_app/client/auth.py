"""Calling a service with `requests`: as oneself, or on behalf of whoever asked."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, Protocol

from requests import PreparedRequest, Response
from requests.auth import AuthBase

from delegation_app.client import urls
from delegation_app.client.client import Client
from delegation_app.client.client_credentials import ClientCredentials
from delegation_app.client.errors import ClientError
from delegation_app.client.exchange import Exchange
from delegation_app.client.target import Names, Target
from delegation_app.client.tokens import Tokens

_PREFIX = "Bearer "
# RFC 6750 section 3: one challenge among others, and its scheme and names have no case
_INVALID_TOKEN = re.compile(
    r'(?:^|[\s,])bearer\s(?:[^"]|"[^"]*")*?\berror\s*=\s*"?invalid_token\b', re.IGNORECASE
)


class TokenSource(Protocol):
    """Where a token comes from."""

    def token(self) -> Tokens:
        """Return a token that is good for a while."""
        ...

    def forget(self, access_token: str) -> None:
        """Forget a token that was refused."""
        ...


class BearerAuth(AuthBase):
    """Sends a token to some origins, and to nobody else.

    A request to another origin goes without one. If the service says that the token is not valid,
    a new one is fetched and the request is sent once more, unless its body can't be read again.

    Args:
        source: where the token comes from.
        origins: URLs of the services that may see it; only scheme, host and port count.

    Raises:
        ValueError: there are none, or one is not https (http on this machine is fine).
    """

    def __init__(self, source: TokenSource, origins: Iterable[str]) -> None:
        self._source = source
        self._origins = frozenset(_origin(url) for url in origins)
        if not self._origins:
            raise ValueError("Say to which origins the token may be sent.")

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Add the token (RFC 6750 section 2.1).

        Raises:
            ClientError: none could be had.

        Side effects: network, now and then.
        """
        if self._is_for(request):
            _put(request, self._source.token())
            again = functools.partial(self._again, position=_position(request.body))
            request.register_hook("response", again)  # type: ignore[no-untyped-call] # its stubs say nothing
        return request

    def _again(self, response: Response, *, position: int | None, **options: Any) -> Response:
        request = response.request
        sent = str(request.headers.get("Authorization", ""))
        # Also where a session of somebody else's followed a redirect to somewhere else
        if not (_refused(response) and sent.startswith(_PREFIX) and self._is_for(request)):
            return response
        self._source.forget(sent.removeprefix(_PREFIX))
        if not _can_rewind(request.body, position):
            return response
        return self._once_more(response, position, options)

    def _once_more(
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
        # Straight to the adapter, which calls no hooks: a second refusal is the answer
        answer: Response = response.connection.send(request, **options)
        answer.request = request
        return answer

    def _is_for(self, request: PreparedRequest) -> bool:
        return urls.origin_of(request.url or "") in self._origins


class AsService(BearerAuth):
    """Calls a service in this service's own name.

    Args:
        client: who calls.
        audience: the service that is called.
        scope: what is needed there; None for the server's choice.
        origins: where the service is, if not where its identifier says.

    Raises:
        ValueError: an argument makes no sense.
    """

    def __init__(
        self,
        client: Client,
        audience: Names,
        scope: Names | None = None,
        *,
        origins: Iterable[str] | None = None,
    ) -> None:
        wanted = Target.of(audience, scope)
        source = ClientCredentials(client, audience=wanted.audience, scope=wanted.scope)
        super().__init__(source, wanted.audience if origins is None else origins)


class OnBehalfOf(BearerAuth):
    """Calls a service on behalf of whoever called this one. Make one per request.

    Args:
        client: who calls.
        subject_token: the access token that this service was called with, verified already.
        audience: the service that is called.
        scope: what is needed there; None for all that may be handed on.
        subject_expires_at: when the subject token ends, in seconds since the epoch.
        origins: where the service is, if not where its identifier says.

    Raises:
        ValueError: an argument makes no sense.
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
        wanted = Target.of(audience, scope)
        source = Exchange(
            client,
            subject_token,
            audience=wanted.audience,
            scope=wanted.scope,
            subject_expires_at=subject_expires_at,
        )
        super().__init__(source, wanted.audience if origins is None else origins)


def _origin(url: str) -> str:
    origin = urls.origin_of(url)
    if origin is None or not urls.is_secure(url):
        raise ValueError("A token goes to https origins, or to this machine; say `origins`.")
    return origin


def _put(request: PreparedRequest, tokens: Tokens) -> None:
    request.headers["Authorization"] = _PREFIX + tokens.access_token


def _refused(response: Response) -> bool:
    # RFC 6750 section 3.1: only with this code would another token help
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
