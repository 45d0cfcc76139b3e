"""The authorization server as a resource server reaches it, without a network between them."""

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from delegation_app.client.http.transport import Response
from tests.support import SecureClient


@dataclass
class Wire:
    """A transport that hands requests to the site, and remembers them."""

    client: SecureClient = field(default_factory=SecureClient)
    asked: list = field(default_factory=list)

    def send(self, request):
        self.asked.append(request)
        parts = urlsplit(request.url)
        headers = dict(request.headers)
        answer = self.client.generic(
            request.method,
            f"{parts.path}?{parts.query}" if parts.query else parts.path,
            request.body or b"",
            content_type=headers.pop("Content-Type", ""),
            headers=headers,
        )
        names = {name.lower(): value for name, value in answer.headers.items()}
        return Response(answer.status_code, names, answer.content)
