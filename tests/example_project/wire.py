"""The network between the services, without a network: requests go to Django's test client."""

import io
from urllib.parse import urlsplit

import requests
from requests.adapters import BaseAdapter
from urllib3 import HTTPResponse

from tests.support import SecureClient

METADATA = "/.well-known/oauth-authorization-server"


class Wire:
    """Delivers what the services send.

    Attributes:
        sent: every request but those for metadata, with how long it may take in all.
        canned: answers to give instead, by path: an exception, or status, body and headers.
        seen: called with the path of each request before it is delivered.
    """

    def __init__(self):
        self.sent = []
        self.canned = {}
        self.seen = lambda path: None

    def adapter(self, total_seconds):
        """Return what sends in the place of the network."""
        return _Adapter(self, total_seconds)

    def paths(self):
        return [urlsplit(request.url).path for request, _timeout in self.sent]

    def secrets(self):
        """Every token and client secret that was sent, as it stands in headers."""
        return [request.headers["Authorization"].split()[1] for request, _timeout in self.sent]

    def deliver(self, request, total_seconds):
        path = urlsplit(request.url).path
        if path != METADATA:
            self.sent.append((request, total_seconds))
        self.seen(path)
        canned = self.canned.get(path)
        if callable(canned):
            canned = canned(request)
        if isinstance(canned, Exception):
            raise canned
        if canned is not None:
            return answer(request, *canned)
        content_type = request.headers.get("Content-Type", "")
        authorization = request.headers.get("Authorization", "")
        told = SecureClient().generic(
            request.method,
            path,
            request.body or "",
            content_type,
            HTTP_AUTHORIZATION=authorization,
        )
        return answer(request, told.status_code, told.content, dict(told.items()))


class _Adapter(BaseAdapter):
    def __init__(self, wire, total_seconds):
        super().__init__()
        self._wire, self._total_seconds = wire, total_seconds

    def send(self, request, **_kwargs):
        response = self._wire.deliver(request, self._total_seconds)
        response.connection = self
        return response

    def close(self):
        """There is nothing to close."""


def answer(request, status, body=b"", headers=None):
    response = requests.Response()
    response.request, response.url = request, request.url
    response.status_code = status
    response.headers.update(headers or {})
    response.raw = HTTPResponse(io.BytesIO(body), preload_content=False)
    return response
