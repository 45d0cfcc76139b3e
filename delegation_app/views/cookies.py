"""Removal of cookies that the database cannot look up, before any page of the site reads them."""

from __future__ import annotations

from django.http import HttpRequest
from django.utils.deprecation import MiddlewareMixin

from delegation_app.protocol.requests.reading import is_storable


class StorableCookiesMiddleware(MiddlewareMixin):
    r"""Drops cookies with a NUL before Django's sessions look them up.

    PostgreSQL refuses the statement, so each page that reads the session would be a 500 for
    `sessionid="\000"`. Must precede `SessionMiddleware`.
    """

    def process_request(self, request: HttpRequest) -> None:
        for name in [name for name, value in request.COOKIES.items() if not is_storable(value)]:
            del request.COOKIES[name]
