"""The network between the services, without a network: requests go to Django's test client."""

import socket
from urllib.parse import urlsplit

import requests
from requests.adapters import BaseAdapter

from tests.support import SecureClient


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Wire(BaseAdapter):
    """Delivers what the services send.

    Attributes:
        sent: every request, with the timeout that it was sent with.
        canned: answers to give instead, by path: an exception, or status, body and headers.
        seen: called with the path of each request before it is delivered.
    """

    def __init__(self):
        super().__init__()
        self.sent = []
        self.canned = {}
        self.seen = lambda path: None

    def session(self):
        """Return a session that knows no other way."""
        session = requests.Session()
        session.mount("https://", self)
        return session

    def paths(self):
        return [urlsplit(request.url).path for request, _timeout in self.sent]

    def secrets(self):
        """Every token and client secret that was sent, as it stands in headers."""
        return [request.headers["Authorization"].split()[1] for request, _timeout in self.sent]

    def send(self, request, timeout=None, **_kwargs):
        self.sent.append((request, timeout))
        path = urlsplit(request.url).path
        self.seen(path)
        canned = self.canned.get(path)
        if callable(canned):
            canned = canned(request)
        if isinstance(canned, Exception):
            raise canned
        if canned is not None:
            return answer(request, *canned)
        content_type = request.headers.get("Content-Type", "")
        authorization = request.headers["Authorization"]
        told = SecureClient().generic(
            request.method,
            path,
            request.body or "",
            content_type,
            HTTP_AUTHORIZATION=authorization,
        )
        return answer(request, told.status_code, told.content, dict(told.items()))

    def close(self):
        """There is nothing to close."""


def answer(request, status, body=b"", headers=None):
    response = requests.Response()
    response.request, response.url = request, request.url
    response.status_code = status
    response._content = body
    response.headers.update(headers or {})
    return response
