"""Peers on this machine that answer with given bytes, or with none."""

import contextlib
import socket
import threading
import time


class Peer:
    """A server whose every connection is handed to `speak(connection, request)`.

    Attributes:
        url: where it is.
        requests: what came in, head and body, in order.
    """

    def __init__(self, speak, tls=None):
        self._speak = speak
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.requests = []
        self.over = threading.Event()
        self.port = self._listener.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with contextlib.suppress(OSError), contextlib.ExitStack() as open_ones:
            open_ones.enter_context(connection)
            if self._tls:
                connection = self._tls.wrap_socket(connection, server_side=True)
                open_ones.enter_context(connection)
            while request := read_request(connection):
                self.requests.append(request)
                if self._speak(connection, request) == "close":
                    return

    def close(self):
        self.over.set()
        # Wakes up `accept`, which closing alone does not
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@contextlib.contextmanager
def peer(speak, tls=None):
    running = Peer(speak, tls)
    try:
        yield running
    finally:
        running.close()


def read_request(connection):
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = connection.recv(65536)
        if not chunk:
            return None
        data += chunk
    head, _, body = data.partition(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
        while name.lower() == b"transfer-encoding" and not body.endswith(b"0\r\n\r\n"):
            body += connection.recv(65536)
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def says(body=b"{}", status="200 OK", *headers):
    """A peer that gives one answer to everybody."""
    head = "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""])

    def speak(connection, request):
        connection.sendall(head.encode() + body)

    return speak


def drips(start=b"", drop=b"x", every=0.05, seconds=30):
    """A peer that begins, and then sends a byte now and then."""

    def speak(connection, request):
        connection.sendall(start)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            connection.sendall(drop)
            time.sleep(every)
        return "close"

    return speak


def is_silent(connection, request):
    """A black hole: it takes everything and says nothing."""
    while connection.recv(65536):
        pass
    return "close"


def header(request, name):
    for line in request.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key.decode().lower() == name.lower():
            return value.decode().strip()
    return None
