"""Sessions with one deadline for a whole request, which no server or environment can redirect.

The timeouts of `requests` hold for each single read, so a peer that drips one byte now and then
holds a thread for ever. Each class here answers one way to do that:

- `_TimedSocket`, `_TimedResponse`: dripping a status line, headers, chunk sizes, body or trailers;
- `_open_socket`: a name with many addresses that never accept, or a slow TLS handshake;
- `_resolve`: a DNS server that does not answer, since a resolver has no timeout.
"""

from __future__ import annotations

import io
import queue
import socket
import threading
import time
from collections.abc import Mapping
from contextvars import ContextVar
from http.client import HTTPResponse
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Final

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from delegation_app.client.http import fork_safety
from delegation_app.protocol.requests.addresses import parse_address

API_SECONDS: Final = 30.0
CONNECT_SECONDS: Final = 2.0
_POOL: Final = 32
_Address = tuple[int, int, int, str, Any]

_deadline: ContextVar[float] = ContextVar("deadline")


class BoundedSession(requests.Session):
    """A session without redirects, cookies, proxies of the environment and `.netrc`.

    Each closes a leak: a followed redirect would carry a token to another server, a cookie would
    link calls for different users, and a proxy or `.netrc` of the environment would see or replace
    the credentials. Safe to share between threads; a child process opens its own connections. A
    verified certificate is required; `verify` may name another bundle of authorities.

    Args:
        total_seconds: the time limit for one request, until the last byte is read.
    """

    def __init__(self, total_seconds: float) -> None:
        super().__init__()
        self._total_seconds = total_seconds
        self.trust_env = False
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self.reset_after_fork()
        fork_safety.register(self)

    def reset_after_fork(self) -> None:
        """Start without connections: two processes on one connection would mix up responses."""
        for scheme in ("https://", "http://"):
            self.mount(scheme, DeadlineAdapter(self._total_seconds))

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Return None for every response, even if a caller allows redirects.

        `requests` would read the whole body of a redirect that it does not follow.
        """


def session(
    auth: AuthBase | None = None, *, total_seconds: float = API_SECONDS
) -> requests.Session:
    """Return a session for API calls.

    Args:
        auth: such as `AsService` or `OnBehalfOf`.
        total_seconds: the time limit for one call.
    """
    bounded = BoundedSession(total_seconds)
    bounded.auth = auth
    return bounded


class DeadlineAdapter(HTTPAdapter):
    """Sends with one deadline.

    Args:
        total_seconds: from the call until the last byte of the body, also of a streamed one.
    """

    def __init__(self, total_seconds: float) -> None:
        self._total_seconds = total_seconds
        super().__init__(pool_maxsize=_POOL)

    def init_poolmanager(self, *arguments: Any, **named: Any) -> None:
        """Use connections with a deadline."""
        super().init_poolmanager(*arguments, **named)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}

    def send(  # noqa: PLR0917 - the signature is the one of `requests`
        self,
        request: requests.PreparedRequest,
        stream: bool = False,  # noqa: FBT001, FBT002 - as above
        timeout: Any = None,
        verify: bool | str = True,  # noqa: FBT001, FBT002 - as above
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Send; see `HTTPAdapter.send`. A caller's `timeout` applies within the total."""
        if timeout is None:
            timeout = (min(CONNECT_SECONDS, self._total_seconds), self._total_seconds)
        token = _deadline.set(time.monotonic() + self._total_seconds)
        try:
            return super().send(request, stream, timeout, verify, cert, proxies)
        finally:
            _deadline.reset(token)


class _TimedSocket(io.RawIOBase):
    """The reading end of a connection: each read may take the remaining time."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__()
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)
        self._read_timeout = sock.gettimeout()
        # Stored, since a streamed body is read after the call has returned
        self._deadline = _deadline.get()

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._raw.fileno()

    def readinto(self, buffer: Any) -> int | None:
        left, each = _left(self._deadline), self._read_timeout
        self._sock.settimeout(left if each is None else min(left, each))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _TimedResponse(HTTPResponse):
    def __init__(self, sock: socket.socket, *arguments: Any, **named: Any) -> None:
        super().__init__(sock, *arguments, **named)
        self.fp.close()
        # Status, headers, chunk sizes, body and trailers are all read through this
        self.fp = io.BufferedReader(_TimedSocket(sock))


class _Connection(HTTPConnection):
    response_class = _TimedResponse

    def _new_conn(self) -> socket.socket:
        try:
            return _open_socket(self.host, self.port or self.default_port)
        except TimeoutError as error:
            raise ConnectTimeoutError(self, "no connection in time") from error
        except (OSError, UnicodeError) as error:
            raise NewConnectionError(self, type(error).__name__) from error


class _TlsConnection(_Connection, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _open_socket(host: str, port: int) -> socket.socket:
    deadline = _deadline.get()
    failure: OSError = socket.gaierror(socket.EAI_NONAME, "no address")
    for family, kind, protocol, _, address in _resolve(host, port, _left(deadline)):
        sock = None
        try:
            sock = socket.socket(family, kind, protocol)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.settimeout(min(CONNECT_SECONDS, _left(deadline)))
            sock.connect(address)
            # For the TLS handshake, where one timeout covers all reads
            sock.settimeout(_left(deadline))
        except OSError as error:
            failure = error
            if sock is not None:
                sock.close()
        else:
            return sock
    raise failure


def _resolve(host: str, port: int, seconds: float) -> list[_Address]:
    if parse_address(host.strip("[]")) is not None:
        return _lookup(host.strip("[]"), port)
    results: queue.SimpleQueue[list[_Address] | Exception] = queue.SimpleQueue()

    def run() -> None:
        try:
            results.put(_lookup(host, port))
        except (OSError, UnicodeError) as error:
            results.put(error)

    threading.Thread(target=run, name="delegation-resolver", daemon=True).start()
    try:
        result = results.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError from None
    if isinstance(result, Exception):
        raise result
    return result


def _lookup(host: str, port: int) -> list[_Address]:
    return [*socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
