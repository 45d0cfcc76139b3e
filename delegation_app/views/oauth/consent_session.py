"""Requests that are pending a user's decision: kept on the server, bound to one browser."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from delegation_app import clock, http
from delegation_app.conf import conf
from delegation_app.protocol.errors import InvalidRequest
from delegation_app.protocol.requests.parameters import Parameters
from delegation_app.protocol.secrets import new_secret
from delegation_app.services.consent import pending_requests
from delegation_app.services.consent.pending_requests import Kind, Pending, Waiter
from delegation_app.services.delegations.terms import SignIn
from delegation_app.views import sign_in
from delegation_app.views.pages import NoLonger

# Not the session: it is flushed when the user changes, may be a cookie of 4 KiB, and one row for
# each anonymous visitor would be unbounded.
COOKIE: Final = "delegation_browser"
RESUME: Final = "resume"
_SECRET: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_MADE: Final = "delegation.browser"


def keep(
    request: HttpRequest,
    kind: Kind,
    content: Mapping[str, Any],
    *,
    client_id: str,
    user: SignIn | None,
) -> str | None:
    """Store a request for this browser and user; see `pending_requests.keep`.

    Side effects: `with_cookie` then marks the browser.
    """
    subject = "" if user is None else user.subject
    waiter = Waiter(_browser(request), subject, http.address_of(request))
    return pending_requests.keep(kind, content, client_id=client_id, waiter=waiter)


def find(request: HttpRequest, handle: str, *kinds: Kind) -> Pending | None:
    """Return this browser's request with a handle, if it is of one of these kinds."""
    browser = request.COOKIES.get(COOKIE, "")
    if not (_SECRET.fullmatch(browser) and _SECRET.fullmatch(handle)):
        return None
    found = pending_requests.find(handle, browser)
    return found if found is not None and found.kind in kinds else None


def answered(
    request: HttpRequest, kind: Kind, parameters: Parameters, user: SignIn, back: str = ""
) -> Pending:
    """Return the request of a screen whose form is posted.

    Args:
        request: the HTTP request.
        kind: the screen of the form.
        parameters: the posted form.
        user: the signed-in user.
        back: returns the URL of the screen; by default that of the authorization endpoint.

    Raises:
        NoLonger: this browser no longer has the screen, or it was shown to another user.
        InvalidRequest: the form posts neither allow nor deny.
    """
    found = find(request, parameters.require("handle"), kind, Kind.REQUEST)
    if found is None:
        raise NoLonger("This page is too old, or belongs to another browser. Start again.")
    if found.kind != kind:
        description = "A newer page asks the same question. This one is not used any more."
        raise NoLonger(description, back=way_back(request, found))
    if found.subject != user.subject:
        description = "This page was shown to another account than the one that is signed in now."
        raise NoLonger(description, back=back or way_back(request, found))
    if parameters.require("decision") not in {"allow", "deny"}:
        raise InvalidRequest("The decision must be allow or deny.")
    return found


def is_too_old(found: Pending) -> bool:
    """Return whether the page was open for longer than its lifetime."""
    return clock.now() - found.kept_at > conf.authorization_request_lifetime


def way_back(request: HttpRequest, found: Pending) -> str:
    """Return the URL that shows the screen again, to the user who is then signed in.

    A sign-in since the page was shown satisfies `prompt=login` and `max_age`.
    """
    query = resuming(found.handle)
    return f"{request.path}?{sign_in.marked(query, found.kept_at)}"


def resuming(handle: str) -> str:
    """Return the query that resumes a request."""
    return urlencode({RESUME: handle})


def with_cookie(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """Set the cookie of a browser for which `keep` stored a request, and return the response."""
    secret = request.META.get(_MADE)
    if secret is not None:
        response.set_cookie(
            COOKIE,
            secret,
            max_age=pending_requests.lifetime(),
            path=settings.SESSION_COOKIE_PATH,
            secure=settings.SESSION_COOKIE_SECURE or request.is_secure(),
            httponly=True,
            # Apps link here from another site, and Lax sends the cookie with such links
            samesite="Lax",
        )
    return response


def _browser(request: HttpRequest) -> str:
    if _MADE not in request.META:
        sent = request.COOKIES.get(COOKIE, "")
        request.META[_MADE] = sent if _SECRET.fullmatch(sent) else new_secret()
    return str(request.META[_MADE])
