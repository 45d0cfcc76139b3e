"""What the documents that everybody may read have in common."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.cache import get_conditional_response

from delegation_app import http, primary
from delegation_app.conf import conf
from delegation_app.protocol.errors import InvalidRequest, TemporarilyUnavailable
from delegation_app.views.standalone import standalone


def public(handler: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Make a view of a handler: GET only, for any origin, 304 for whoever has it already."""

    @standalone
    @primary.reading()
    @functools.wraps(handler)
    def view(request: HttpRequest, **arguments: str) -> HttpResponse:
        # OPTIONS too: no script has to ask before it may read these
        if request.method not in {"GET", "HEAD"}:
            response: HttpResponse = http.json_answer(InvalidRequest("Use GET.").payload(), 405)
            response["Allow"] = "GET, HEAD"
        else:
            response = _answer(handler, request, arguments)
        response["Access-Control-Allow-Origin"] = "*"
        response["Access-Control-Expose-Headers"] = "ETag"
        return response

    return view


def public_document(
    build: Callable[..., Mapping[str, Any]],
) -> Callable[..., HttpResponse]:
    """Make a view of a function that returns JSON members, cacheable for JWKS_MAX_AGE."""

    @public
    @functools.wraps(build)
    def view(_request: HttpRequest, **arguments: str) -> HttpResponse:
        return document(build(**arguments), int(conf.jwks_max_age.total_seconds()))

    return view


def document(members: Mapping[str, Any], seconds: int) -> HttpResponse:
    """Return JSON members that caches may keep for some seconds."""
    response = JsonResponse(members)
    response["ETag"] = f'"{hashlib.sha256(response.content).hexdigest()[:32]}"'
    response["Cache-Control"] = f"public, max-age={seconds}"
    return response


def _answer(
    handler: Callable[..., HttpResponse], request: HttpRequest, arguments: Mapping[str, str]
) -> HttpResponse:
    try:
        http.refuse_long_headers(request)
        response = handler(request, **arguments)
    except (http.HeaderTooLong, TemporarilyUnavailable, *http.DATABASE_ERRORS) as error:
        refusal = http.as_oauth_error(error, request)
        response = http.json_answer(refusal.payload(), status=refusal.status)
        http.with_error_headers(response, refusal)
        return response
    # RFC 9110 section 13.1.2: with the headers that a 200 would have
    found: HttpResponse | None = get_conditional_response(
        request, etag=response.get("ETag"), response=response
    )
    if found is None or found is response:
        return response
    # RFC 9111 section 4.3.4: a 304 says how old what it confirms is
    if "Age" in response:
        found["Age"] = response["Age"]
    return found
