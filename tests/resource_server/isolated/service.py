"""A service made of one view, and requests to it."""

import re
from dataclasses import dataclass
from typing import Any

from rest_framework.response import Response
from rest_framework.test import APIRequestFactory
from rest_framework.views import APIView

from tests.resource_server.issuer import Issuer

CHALLENGE = re.compile(r'Bearer [a-z_]+="[^"\\]*"(, [a-z_]+="[^"\\]*")*')


class Answering(APIView):
    """A plain view of the framework; nothing of ours in it."""

    permission_classes = []

    def get(self, request, **_kwargs):
        return Response({"user": str(request.user)})

    head = post = put = delete = get


@dataclass
class Service:
    issuer: Issuer
    bearer: type

    def view(self, *permissions, base=Answering, **members: Any):
        """A view with these permissions."""
        members = {
            "authentication_classes": [self.bearer],
            "permission_classes": list(permissions),
            **members,
        }
        return type("MetricsView", (base,), members).as_view()

    def ask(self, view, token=None, method="GET", path="/metrics", **sent):
        """What the view answers, rendered."""
        if token is not None:
            sent.setdefault("HTTP_AUTHORIZATION", f"Bearer {token}")
        data, kind = sent.pop("data", ""), sent.pop("content_type", "application/json")
        request = APIRequestFactory().generic(method, path, data, kind, **sent)
        answer = view(request)
        return answer.render() if hasattr(answer, "render") else answer

    def with_claims(self, *permissions, method="GET", **claims):
        """What a view with these permissions answers to a token with these claims."""
        return self.ask(self.view(*permissions), self.issuer.token(**claims), method)


def attributes(answer):
    """Those of the challenge, which must be in good form and have each once."""
    header = answer["WWW-Authenticate"]
    assert CHALLENGE.fullmatch(header), header
    pairs = re.findall(r'([a-z_]+)="([^"]*)"', header)
    assert len(pairs) == len(dict(pairs))
    return dict(pairs)
