"""The base class of public documents."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, ClassVar

from django.utils.cache import get_conditional_response
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.response import Response

from delegation_app import http
from delegation_app.views.endpoint import Endpoint, Refusals, WrongMethod


class PublicEndpoint(Endpoint):
    """GET only, from any origin, without authentication; 304 if the caller's copy is current."""

    # Without OPTIONS: a simple GET needs no preflight request
    http_method_names = ["get", "head"]
    refusals: ClassVar[Refusals] = {exceptions.MethodNotAllowed: lambda _: WrongMethod("Use GET.")}
    statuses = {
        500: "An unexpected error; it was logged.",
        503: "The database is unavailable. Retry-After says how long to wait.",
    }

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        if request.method not in {"GET", "HEAD"}:
            self.http_method_not_allowed(request)
        http.refuse_long_headers(self.sent)
        super().initial(request, *args, **kwargs)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        answer = super().finalize_response(request, response, *args, **kwargs)
        if isinstance(answer, Response):
            answer.render()
        if answer.status_code == 200 and "ETag" not in answer:  # noqa: PLR2004
            answer["ETag"] = f'"{hashlib.sha256(answer.content).hexdigest()[:32]}"'
        # RFC 9110 section 13.1.2: with the headers of a 200
        found: Any = get_conditional_response(self.sent, etag=answer.get("ETag"), response=answer)
        # RFC 9111 section 4.3.4: a 304 has the age of the confirmed document
        if "Age" in answer:
            found["Age"] = answer["Age"]
        found["Access-Control-Allow-Origin"] = "*"
        found["Access-Control-Expose-Headers"] = "ETag"
        return found


def document(members: Mapping[str, Any], seconds: int) -> Response:
    """Return JSON members as a response that caches may keep for some seconds."""
    return Response(members, headers={"Cache-Control": f"public, max-age={seconds}"})
