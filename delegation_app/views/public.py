"""What the documents that everybody may read have in common."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse

from delegation_app.conf import conf
from delegation_app.protocol.errors import InvalidRequest
from delegation_app.views import http


def public_document(
    build: Callable[..., Mapping[str, Any]],
) -> Callable[..., HttpResponse]:
    """Make a view of a function that returns JSON members: GET only, cacheable, for any origin."""

    @transaction.non_atomic_requests
    @functools.wraps(build)
    def view(request: HttpRequest, **arguments: str) -> HttpResponse:
        if request.method not in {"GET", "HEAD"}:
            response: HttpResponse = http.json_answer(InvalidRequest("Use GET.").payload(), 405)
            response["Allow"] = "GET, HEAD"
        else:
            response = _answer(build, request, arguments)
        response["Access-Control-Allow-Origin"] = "*"
        return response

    return view


def _answer(
    build: Callable[..., Mapping[str, Any]], request: HttpRequest, arguments: Mapping[str, str]
) -> HttpResponse:
    try:
        body = build(**arguments)
    except http.DATABASE_ERRORS as error:
        refusal = http.as_oauth_error(error, request)
        response: HttpResponse = http.json_answer(refusal.payload(), status=refusal.status)
        http.with_error_headers(response, refusal)
        return response
    response = JsonResponse(body)
    response["Cache-Control"] = f"public, max-age={int(conf.jwks_max_age.total_seconds())}"
    return response
