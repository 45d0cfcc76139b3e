"""An HTTP adapter whose requests end in time, whatever the peer does.

The time limits of `requests` hold for each single read, so a peer that sends one byte now and
then, in the body or in the headers, keeps a thread for ever. Here the time of all of it is
limited: of looking up the name, connecting, shaking hands, and every read until the end.
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
from typing import Any, Final

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from delegation_app.protocol.requests.addresses import parse_address

CONNECT_SECONDS: Final = 2.0
_POOL: Final = 32
_Place = tuple[int, int, int, str, Any]

_give_up: ContextVar[float] = ContextVar("give_up")


class DeadlineAdapter(HTTPAdapter):
    """Sends with a limit to the time of it all.

    Args:
        total_seconds: from the call until the last byte of the body, however that is read.
    """

    def __init__(self, total_seconds: float) -> None:
        self._total_seconds = total_seconds
        super().__init__(pool_maxsize=_POOL)

    def init_poolmanager(self, *arguments: Any, **named: Any) -> None:
        """Use connections that know the time."""
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
        """Send; see `HTTPAdapter.send`. A `timeout` of the caller holds within the total."""
        if timeout is None:
            timeout = (min(CONNECT_SECONDS, self._total_seconds), self._total_seconds)
        token = _give_up.set(time.monotonic() + self._total_seconds)
        try:
            return super().send(request, stream, timeout, verify, cert, proxies)
        finally:
            _give_up.reset(token)


class _TimedSocket(io.RawIOBase):
    """The reading end of a connection: each read may take what is left of the time."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__()
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)
        self._each = sock.gettimeout()
        # Remembered, since a streamed body is read when the call is long over
        self._give_up = _give_up.get()

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._raw.fileno()

    def readinto(self, buffer: Any) -> int | None:
        left = _left(self._give_up)
        self._sock.settimeout(left if self._each is None else min(left, self._each))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Answer(HTTPResponse):
    def __init__(self, sock: socket.socket, *arguments: Any, **named: Any) -> None:
        super().__init__(sock, *arguments, **named)
        self.fp.close()
        # Everything is read through this: status, headers, chunk sizes, trailers
        self.fp = io.BufferedReader(_TimedSocket(sock))


class _Connection(HTTPConnection):
    response_class = _Answer

    def _new_conn(self) -> socket.socket:
        try:
            return _connected(self.host, self.port or self.default_port)
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


def _left(give_up: float) -> float:
    left = give_up - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _connected(host: str, port: int) -> socket.socket:
    give_up = _give_up.get()
    failure: OSError = socket.gaierror(socket.EAI_NONAME, "no address")
    for family, kind, protocol, _, address in _places(host, port, _left(give_up)):
        sock = None
        try:
            sock = socket.socket(family, kind, protocol)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.settimeout(min(CONNECT_SECONDS, _left(give_up)))
            sock.connect(address)
            # For shaking hands, which has one limit for all of its reads
            sock.settimeout(_left(give_up))
        except OSError as error:
            failure = error
            if sock is not None:
                sock.close()
        else:
            return sock
    raise failure


def _places(host: str, port: int, seconds: float) -> list[_Place]:
    """Look up where to connect to. A resolver knows no limit, so somebody else waits for it."""
    if parse_address(host.strip("[]")) is not None:
        return _looked_up(host.strip("[]"), port)
    answers: queue.SimpleQueue[list[_Place] | Exception] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(_looked_up(host, port))
        except (OSError, UnicodeError) as error:
            answers.put(error)

    threading.Thread(target=ask, name="delegation-resolver", daemon=True).start()
    try:
        answer = answers.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError from None
    if isinstance(answer, Exception):
        raise answer
    return answer


def _looked_up(host: str, port: int) -> list[_Place]:
    return [*socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
