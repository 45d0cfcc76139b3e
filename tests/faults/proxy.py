"""A proxy in front of PostgreSQL that loses what a test wants to lose.

It reads just enough of the protocol (messages of a type, a length and a body) to see a COMMIT, and
knows nothing of Django: any client can be pointed at its address. Connections must not be encrypted
(`sslmode=disable`, `gssencmode=disable`).
"""

import enum
import math
import socket
import struct
import threading
import time
from contextlib import contextmanager, suppress

HOST = "127.0.0.1"
_CHUNK = 65_536


class Point(enum.Enum):
    """Where a connection is cut."""

    BEFORE_COMMIT = "the server never sees the COMMIT"
    DURING_COMMIT = "the client is cut off, and the server gets the COMMIT a while later"
    AFTER_COMMIT = "the server has committed, and its answer is lost"
    HANGING = "the client is cut off, and the server is left waiting until `let_go`"


class Proxy:
    """Forwards every connection to a server, and cuts those that commit as it was told to.

    Attributes:
        port: where it listens.
        happened: the points at which connections were cut, in order.
    """

    def __init__(self, host, port):
        self._server = (host, port)
        self._listener = socket.create_server((HOST, 0))
        self.port = self._listener.getsockname()[1]
        self.happened = []
        self._lock = threading.Lock()
        self._plans = []
        self._away_until = -math.inf
        self._sockets = set()
        self._held = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self, point, *, skip=0, delay=0.3, away=-math.inf):
        """Cut a connection at its next COMMIT, whichever connection that is.

        Args:
            point: where.
            skip: let so many commits pass first.
            delay: how long the server waits for the COMMIT, in seconds, with `DURING_COMMIT`.
            away: for how long all connections are refused from then on, in seconds.
        """
        with self._lock:
            self._plans.append([skip, point, delay, away])

    @contextmanager
    def away(self):
        """Cut all connections, and refuse new ones."""
        self.go_away()
        try:
            yield
        finally:
            self.come_back()

    def go_away(self):
        """Cut all connections, and refuse new ones until `come_back`."""
        with self._lock:
            self._away_until = math.inf
            cut, self._sockets = self._sockets, set()
        for each in cut:
            _close(each)

    def come_back(self):
        """Let new connections through."""
        self._away_until = -math.inf

    def let_go(self):
        """Close the connections to the server that were left waiting."""
        self._held.set()

    def close(self):
        """End all connections."""
        self.let_go()
        self.go_away()
        _close(self._listener)

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if time.monotonic() < self._away_until:
                _close(client)
                continue
            try:
                server = socket.create_connection(self._server, timeout=5)
            except OSError:
                _close(client)
                continue
            server.settimeout(None)
            for each in (client, server):
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._sockets |= {client, server}
            _Link(self, client, server)

    def plan(self):
        """Return what is to become of the COMMIT that was just seen: a point and a delay."""
        with self._lock:
            if not self._plans:
                return None, 0
            first = self._plans[0]
            if first[0]:
                first[0] -= 1
                return None, 0
            _, point, delay, away = self._plans.pop(0)
            self.happened.append(point)
            # New connections only: this one is cut at its point
            self._away_until = max(self._away_until, time.monotonic() + away)
            return point, delay

    def wait_until_let_go(self):
        self._held.wait(timeout=60)


class _Link:
    """One connection: two threads, each copying one direction."""

    def __init__(self, proxy, client, server):
        self.proxy, self.client, self.server = proxy, client, server
        self.drops_answer = False
        threading.Thread(target=self._guarded, args=(self._to_server,), daemon=True).start()
        threading.Thread(target=self._guarded, args=(self._to_client,), daemon=True).start()

    def _guarded(self, copy):
        with suppress(OSError):
            copy()
        _close(self.client)
        _close(self.server)

    def _to_server(self):
        messages = _Messages(self.client, starts=True)
        for message in messages:
            point, delay = self.proxy.plan() if _is_commit(message) else (None, 0)
            if point is Point.BEFORE_COMMIT:
                return
            if point is Point.HANGING:
                _close(self.client)
                self.proxy.wait_until_let_go()
                return
            if point is Point.DURING_COMMIT:
                # The server's side stays open, or it would roll back
                self.drops_answer = True
                _close(self.client)
                time.sleep(delay)
                self.server.sendall(message)
                self.proxy.wait_until_let_go()
                return
            self.drops_answer = self.drops_answer or point is Point.AFTER_COMMIT
            self.server.sendall(message)

    def _to_client(self):
        while chunk := self.server.recv(_CHUNK):
            if self.drops_answer:
                # It has answered the COMMIT, so that is done
                return
            with suppress(OSError):
                self.client.sendall(chunk)


class _Messages:
    """The messages that a client sends. The first one has no type."""

    def __init__(self, source, *, starts):
        self._source, self._starts, self._buffer = source, starts, b""

    def __iter__(self):
        while True:
            header = 0 if self._starts else 1
            head = self._take(header + 4)
            if head is None:
                return
            (length,) = struct.unpack("!I", head[header:])
            body = self._take(length - 4)
            if body is None:
                return
            self._starts = False
            yield head + body

    def _take(self, size):
        while len(self._buffer) < size:
            chunk = self._source.recv(_CHUNK)
            if not chunk:
                return None
            self._buffer += chunk
        taken, self._buffer = self._buffer[:size], self._buffer[size:]
        return taken


def _is_commit(message):
    # A simple Query, or a Parse, whose text follows the name of the statement
    if message[:1] == b"Q":
        return message[5:].upper().startswith(b"COMMIT")
    if message[:1] == b"P":
        return message[5:].split(b"\0", 1)[1].upper().startswith(b"COMMIT")
    return False


def _close(one):
    # Both, since another thread may be waiting in it
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    with suppress(OSError):
        one.close()
