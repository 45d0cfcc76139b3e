"""Requests that wait for a user: kept on the server, found again by one browser only."""

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

# Not the session: sessions are flushed when users change, some live in a cookie of 4 KiB, and
# those of anonymous visitors would be rows without bound.
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
    """Return the request of this browser under a handle, if it is of one of these kinds."""
    browser = request.COOKIES.get(COOKIE, "")
    if not (_SECRET.fullmatch(browser) and _SECRET.fullmatch(handle)):
        return None
    found = pending_requests.find(handle, browser)
    return found if found is not None and found.kind in kinds else None


def answered(
    request: HttpRequest, kind: Kind, parameters: Parameters, user: SignIn, back: str = ""
) -> Pending:
    """Return the request whose screen a form answers.

    Args:
        request: the HTTP request.
        kind: the screen that the form is on.
        parameters: what the form posts.
        user: the user who answers.
        back: the way back to the screen; by default that of the authorization endpoint.

    Raises:
        NoLonger: this browser has no such screen any more, or another user saw it.
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
    """Return True if a page was open for longer than it may be answered."""
    return clock.now() - found.kept_at > conf.authorization_request_lifetime


def way_back(request: HttpRequest, found: Pending) -> str:
    """Return the address that shows the screen again, to the user who is signed in then.

    A sign-in since the page was shown satisfies a request for one.
    """
    query = resuming(found.handle)
    return f"{request.path}?{sign_in.marked(query, found.kept_at)}"


def resuming(handle: str) -> str:
    """Return the query that goes on with a request."""
    return urlencode({RESUME: handle})


def with_cookie(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """Mark the browser for which `keep` has stored something, and return the response."""
    secret = request.META.get(_MADE)
    if secret is not None:
        response.set_cookie(
            COOKIE,
            secret,
            max_age=pending_requests.lifetime(),
            path=settings.SESSION_COOKIE_PATH,
            secure=settings.SESSION_COOKIE_SECURE or request.is_secure(),
            httponly=True,
            # Apps lead here by an ordinary link, which brings the cookie along
            samesite="Lax",
        )
    return response


def _browser(request: HttpRequest) -> str:
    if _MADE not in request.META:
        sent = request.COOKIES.get(COOKIE, "")
        request.META[_MADE] = sent if _SECRET.fullmatch(sent) else new_secret()
    return str(request.META[_MADE])
