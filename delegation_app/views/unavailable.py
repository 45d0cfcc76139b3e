"""A 503 page instead of a failure while the database is unavailable."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.views.defaults import ERROR_500_TEMPLATE_NAME, server_error
from rest_framework.views import set_rollback

from delegation_app import http
from delegation_app.protocol.errors import TemporarilyUnavailable
from delegation_app.views import pages


def handler500(request: HttpRequest, template_name: str = ERROR_500_TEMPLATE_NAME) -> HttpResponse:
    """Respond with a 503 page if the database is unavailable, otherwise like Django.

    For the pages of a site, such as its sign-in and the start page of its admin:
    `handler500 = "delegation_app.views.unavailable.handler500"` in its root URLs.
    """
    # Django calls this inside its exception handler
    error = sys.exc_info()[1]
    response = None if error is None else _unavailable(request, error)
    return server_error(request, template_name) if response is None else response


def answering(
    view: Callable[..., HttpResponseBase],
) -> Callable[..., HttpResponseBase]:
    """Decorate a view to respond with a 503 page if the database is unavailable."""

    @functools.wraps(view)
    def answered(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            return view(request, *args, **kwargs)
        except http.DATABASE_ERRORS as error:
            response = _unavailable(request, error)
            if response is None:
                raise
            # Otherwise a site with ATOMIC_REQUESTS would commit a partial change
            set_rollback()
            return response

    return answered


def _unavailable(request: HttpRequest, error: BaseException) -> HttpResponse | None:
    if not isinstance(error, http.DATABASE_ERRORS):
        return None
    refusal = http.as_oauth_error(error, request)
    if not isinstance(refusal, TemporarilyUnavailable):
        return None
    context = {"is_read": request.method in {"GET", "HEAD"}}
    response = pages.page(request, "unavailable.html", context, status=refusal.status)
    http.with_error_headers(response, refusal)
    return response
