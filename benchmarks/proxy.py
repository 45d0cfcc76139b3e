"""A proxy between services and the authorization server, in which paths can be cut off."""

import contextlib
import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

HOST = "127.0.0.1"
_SECONDS = 30.0
_NOT_FORWARDED = frozenset({"connection", "transfer-encoding", "content-length", "date", "server"})


class Proxy(ThreadingHTTPServer):
    """Forwards to the authorization server; requests for `cut` get no answer, and are counted."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, target: int) -> None:
        super().__init__((HOST, 0), _Forward)
        self.target = target
        self.address = f"http://{HOST}:{self.server_port}"
        self.cut = ""
        self.refused = 0
        threading.Thread(target=self.serve_forever, daemon=True).start()


class _Forward(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Proxy

    def do_GET(self) -> None:
        """Forward a request, or end the connection."""
        if self.server.cut and self.path.startswith(self.server.cut):
            self.server.refused += 1
            self.close_connection = True
            return
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        onward = http.client.HTTPConnection(HOST, self.server.target, timeout=_SECONDS)
        with contextlib.closing(onward):
            onward.request(self.command, self.path, body, dict(self.headers))
            answer = onward.getresponse()
            self._answer(answer, answer.read())

    do_POST = do_GET  # noqa: N815 - the name that http.server looks for

    def _answer(self, answer: http.client.HTTPResponse, body: bytes) -> None:
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in _NOT_FORWARDED:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: Any) -> None:
        """Keep quiet."""
