"""HTML pages that work without scripts and cannot be framed."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.encoding import iri_to_uri

from delegation_app import http
from delegation_app.protocol.errors import InvalidRequest, OAuthError

_HOST_SOURCE = re.compile(r"[A-Za-z0-9.-]+(:\d+)?")


class NoLonger(InvalidRequest):
    """A page that is no longer valid, with a link that shows it again.

    Args:
        description: why; see `OAuthError`.
        back: a URL of this site; empty for none.
    """

    def __init__(self, description: str, *, back: str = "") -> None:
        super().__init__(description)
        self.back = back


def page(
    request: HttpRequest,
    template: str,
    context: dict[str, Any],
    *,
    status: int = 200,
    form_leads_to: str = "",
) -> HttpResponse:
    """Render a page.

    Args:
        request: the request.
        template: a template's name below `delegation_app/`.
        context: its variables.
        status: the HTTP status.
        form_leads_to: the URI that the submitted form redirects to. Browsers apply `form-action`
            to that redirect too.
    """
    response = render(request, f"delegation_app/{template}", context, status=status)
    _protect(response, form_leads_to)
    response["X-Request-Id"] = http.request_id_of(request)
    return response


def error_page(
    request: HttpRequest, error: OAuthError, *, back: str = "", of_connections: bool = False
) -> HttpResponse:
    """Render an error that must not be redirected (RFC 6749 section 4.1.2.1).

    Args:
        request: the request.
        error: the error.
        back: the URL that shows the screen again; a `NoLonger` has its own.
        of_connections: whether it is a page about a user's connections.
    """
    back = error.back if isinstance(error, NoLonger) else back
    context = {
        "error": error,
        "request_id": http.request_id_of(request),
        "back": back,
        "of_connections": of_connections,
    }
    response = page(request, "error.html", context, status=error.status)
    http.with_error_headers(response, error)
    return response


def wrong_method(
    request: HttpRequest,
    methods: tuple[str, ...] = ("GET", "POST"),
    *,
    of_connections: bool = False,
) -> HttpResponse:
    """Render the refusal of a method that a page does not support."""
    error = InvalidRequest(f"Use {' or '.join(methods)}.")
    response = error_page(request, error, of_connections=of_connections)
    response.status_code = HTTPStatus.METHOD_NOT_ALLOWED
    response["Allow"] = ", ".join(methods)
    return response


def redirect(uri: str) -> HttpResponse:
    """Redirect with 303, so that no browser repeats a POST (RFC 9700 section 4.12)."""
    response = HttpResponse(status=303)
    response["Location"] = iri_to_uri(uri)
    response["Referrer-Policy"] = "no-referrer"
    http.never_stored(response)
    return response


def _protect(response: HttpResponse, form_leads_to: str) -> None:
    http.never_stored(response)
    policy = {
        "default-src": "'none'",
        "style-src": f"'self' {_static_source()}",
        "img-src": f"'self' {_static_source()}",
        "form-action": f"'self' {_source(form_leads_to)}",
        "base-uri": "'none'",
        # RFC 9700 section 4.16: these pages cannot be framed
        "frame-ancestors": "'none'",
    }
    text = "; ".join(f"{name} {value.strip()}" for name, value in policy.items())
    response["Content-Security-Policy"] = text
    response["X-Frame-Options"] = "DENY"
    # With no-referrer, browsers send Origin: null with a form, which Django's CSRF check refuses.
    # same-origin also sends no referrer to the client.
    response["Referrer-Policy"] = "same-origin"


def _source(uri: str) -> str:
    parts = urlsplit(uri)
    if parts.scheme in {"http", "https"} and _HOST_SOURCE.fullmatch(parts.netloc):
        return f"{parts.scheme}://{parts.netloc}"
    # A private-use scheme, or an IPv6 address, which CSP cannot express
    return f"{parts.scheme}:" if parts.scheme else ""


def _static_source() -> str:
    return _source(settings.STATIC_URL or "") if "//" in (settings.STATIC_URL or "") else ""
