"""Requests and responses as values, and the one place that sends them."""

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

__all__ = ["HttpTransport", "NoAnswer", "Request", "Response", "Transport", "naming"]

TOTAL_SECONDS: Final = 5.0
MAX_BYTES: Final = 1024 * 1024
_CHUNK: Final = 64 * 1024
FORM: Final = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Request:
    """One request, built and not sent.

    Attributes:
        method, url: as on the wire.
        headers: without those of the transport; may hold a secret.
        body: what is sent; may hold a secret.
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
        """Return a POST of form fields, as every endpoint for clients takes it.

        Args:
            url: of the endpoint.
            fields: a sequence is sent as one field per member.
            headers: more headers.
        """
        body = urlencode(fields, doseq=True).encode()
        return cls("POST", url, {"Content-Type": FORM, **(headers or {})}, body)


@dataclass(frozen=True, slots=True)
class Response:
    """One answer. The names of its headers are in lower case."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)


class Transport(Protocol):
    """What sends a request."""

    def send(self, request: Request) -> Response:
        """Send a request and return the answer, whatever its status.

        Raises:
            NoAnswer: there was none in time, or it is longer than it may be.
        """
        ...


class HttpTransport:
    """Sends with `requests`: in bounded time and size, without redirects, cookies or `.netrc`.

    Safe to share between threads and to carry into a child process.

    Args:
        total_seconds: how long an answer may take in all, from looking up the name.
        most_bytes: the longest body that is read.
        verify: the file with the authorities that certificates are checked with, instead of the
            usual ones.
    """

    def __init__(
        self,
        *,
        total_seconds: float = TOTAL_SECONDS,
        most_bytes: int = MAX_BYTES,
        verify: str | None = None,
    ) -> None:
        self._most_bytes = most_bytes
        self._session = BoundedSession(total_seconds)
        if verify is not None:
            self._session.verify = verify

    def send(self, request: Request) -> Response:
        """Send a request and return the answer; see `Transport`.

        Side effects: network.
        """
        with naming(request):
            return self._sent(request)

    def _sent(self, request: Request) -> Response:
        try:
            return self._answer(request)
        except (requests.RequestException, HTTPError, OSError) as error:
            reason = type(error).__name__
        # Not from inside: the error of `requests` holds the request, and so whatever secret it has
        raise NoAnswer(reason)

    def _answer(self, request: Request) -> Response:
        # What is not compressed is as long as it looks: no bomb to defuse
        headers = {"Accept": "application/json", **request.headers, "Accept-Encoding": "identity"}
        with self._session.request(
            request.method, request.url, headers=headers, data=request.body, stream=True
        ) as answer:
            if answer.headers.get("Content-Encoding", "identity").lower() != "identity":
                raise NoAnswer("the answer is compressed")
            told = {name.lower(): value for name, value in answer.headers.items()}
            return Response(answer.status_code, told, self._body(answer))

    def _body(self, answer: requests.Response) -> bytes:
        body = bytearray()
        # Not `iter_content`: it returns only once it has as much as it was asked for
        while chunk := answer.raw.read1(_CHUNK, decode_content=False):
            body += chunk
            if len(body) > self._most_bytes:
                raise NoAnswer(f"more than {self._most_bytes} bytes")
        return bytes(body)


@contextmanager
def naming(request: Request) -> Iterator[None]:
    """Let each `ClientError` that is raised within say which address was tried.

    Args:
        request: what was sent there. Its query and user name, which may be secrets, are left out.
    """
    try:
        yield
    except ClientError as error:
        parts = urlsplit(request.url)
        error.address = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
        raise
