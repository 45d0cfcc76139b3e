"""The base class of pages for users."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse
from rest_framework.renderers import TemplateHTMLRenderer
from rest_framework.request import Request

from delegation_app import http
from delegation_app.views import pages
from delegation_app.views.endpoint import Endpoint, as_refusal


class PageView(Endpoint):
    """A page for users, by session.

    A subclass may set permissions and throttles, whose refusals are pages too. The page itself
    reads the request, checks its CSRF token and handles every method.

    Attributes:
        page: the view function.
    """

    statuses = {
        303: "To the sign-in page, or back to the client.",
        400: "The request is invalid, and a redirect to the client is not safe.",
        405: "Neither GET nor POST.",
        429: "Too many requests; Retry-After says how long to wait.",
        500: "An unexpected error; it was logged.",
        503: "The database is unavailable. Retry-After says how long to wait.",
    }
    renderer_classes = (TemplateHTMLRenderer,)
    page: Callable[[HttpRequest], HttpResponse]

    def get(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        return type(self).page(self.sent)

    def post(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        return type(self).page(self.sent)

    def http_method_not_allowed(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        return type(self).page(self.sent)

    def handle_exception(self, exc: Exception) -> Any:
        error = as_refusal(exc, self.refusals)
        return pages.error_page(self.sent, http.as_oauth_error(error, self.sent))
