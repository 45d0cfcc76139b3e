"""Cookies that no page of a site can look up, such as those of its admin and its sign-in."""

from __future__ import annotations

from django.http import HttpRequest
from django.utils.deprecation import MiddlewareMixin

from delegation_app.protocol.requests.reading import is_storable


class StorableCookiesMiddleware(MiddlewareMixin):
    r"""Drops cookies with a NUL, which Django's sessions would look up.

    PostgreSQL refuses the statement, so each page that reads the session is a 500 for anyone who
    sends `sessionid="\000"`. Stands before `SessionMiddleware`.
    """

    def process_request(self, request: HttpRequest) -> None:
        """Leave the cookies that a database takes."""
        for name in [name for name, value in request.COOKIES.items() if not is_storable(value)]:
            del request.COOKIES[name]
