"""Requests and responses as values, and the transport that sends them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, Protocol
from urllib.parse import urlencode, urlsplit

import requests
from urllib3.exceptions import HTTPError

from delegation_app.client.errors import ClientError, NoAnswer
from delegation_app.client.http.sessions import BoundedSession

__all__ = ["HttpTransport", "NoAnswer", "Request", "Response", "Transport", "with_address"]

TOTAL_SECONDS: Final = 5.0
MAX_BYTES: Final = 1024 * 1024
_CHUNK: Final = 64 * 1024
FORM: Final = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Request:
    """A request that is not sent yet.

    Attributes:
        method, url: as on the wire.
        headers: without those of the transport; may contain a secret.
        body: may contain a secret.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes | None = field(default=None, repr=False)

    @classmethod
    def form(
        cls,
        url: str,
        fields: Mapping[str, str | Sequence[str]],
        headers: Mapping[str, str] | None = None,
    ) -> Request:
        """Return a POST of form fields.

        Args:
            url: of the endpoint.
            fields: a sequence becomes one field per member.
            headers: further headers.
        """
        body = urlencode(fields, doseq=True).encode()
        return cls("POST", url, {"Content-Type": FORM, **(headers or {})}, body)


@dataclass(frozen=True, slots=True)
class Response:
    """A response with header names in lower case."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)


class Transport(Protocol):
    """Sends requests."""

    def send(self, request: Request) -> Response:
        """Send a request and return the response, whatever its status.

        Raises:
            NoAnswer: there is none in time, or it is too long.
        """
        ...


class HttpTransport:
    """Sends with a `BoundedSession`, and limits the size of responses.

    Safe to share between threads and to use in a forked process.

    Args:
        total_seconds: the time limit for a response, from the name lookup on.
        max_bytes: the largest accepted body.
        verify: a file with certificate authorities that replaces the default ones.
    """

    def __init__(
        self,
        *,
        total_seconds: float = TOTAL_SECONDS,
        max_bytes: int = MAX_BYTES,
        verify: str | None = None,
    ) -> None:
        self._max_bytes = max_bytes
        self._session = BoundedSession(total_seconds)
        if verify is not None:
            self._session.verify = verify

    def send(self, request: Request) -> Response:
        """Send a request and return the response; see `Transport`.

        Side effects: network.
        """
        with with_address(request):
            try:
                return self._response(request)
            except (requests.RequestException, HTTPError, OSError) as error:
                reason = type(error).__name__
            # Not chained: the error of `requests` holds the request with its secrets
            raise NoAnswer(reason)

    def _response(self, request: Request) -> Response:
        # Uncompressed, so that the size limit also holds in memory: no decompression bombs
        headers = {"Accept": "application/json", **request.headers, "Accept-Encoding": "identity"}
        with self._session.request(
            request.method, request.url, headers=headers, data=request.body, stream=True
        ) as response:
            if response.headers.get("Content-Encoding", "identity").lower() != "identity":
                raise NoAnswer("the response is compressed")
            headers = {name.lower(): value for name, value in response.headers.items()}
            return Response(response.status_code, headers, self._body(response))

    def _body(self, response: requests.Response) -> bytes:
        body = bytearray()
        # Not `iter_content`, which waits for full chunks
        while chunk := response.raw.read1(_CHUNK, decode_content=False):
            body += chunk
            if len(body) > self._max_bytes:
                raise NoAnswer(f"more than {self._max_bytes} bytes")
        return bytes(body)


@contextmanager
def with_address(request: Request) -> Iterator[None]:
    """Add the requested address to every `ClientError` from this block.

    Args:
        request: its query and user name, which may be secrets, are left out.
    """
    try:
        yield
    except ClientError as error:
        parts = urlsplit(request.url)
        error.address = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
        raise
