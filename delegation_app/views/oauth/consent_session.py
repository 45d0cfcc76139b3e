"""Requests that wait for a user: kept on the server, found again by one browser only."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final, Self
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from delegation_app import clock, http
from delegation_app.conf import conf
from delegation_app.protocol.secrets import new_secret
from delegation_app.services.consent import pending_requests
from delegation_app.services.consent.pending_requests import Kind, Pending, Waiter
from delegation_app.services.consent.request import ConsentRequest
from delegation_app.services.consent.screen import ScreenText, compose
from delegation_app.services.delegations.terms import SignIn
from delegation_app.views import sign_in
from delegation_app.views.pages import NoLonger

# Not the session: sessions are flushed when users change, some live in a cookie of 4 KiB, and
# those of anonymous visitors would be rows without bound.
COOKIE: Final = "delegation_browser"
RESUME: Final = "resume"
_SECRET: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_MADE: Final = "delegation.browser"


@dataclass(frozen=True, slots=True)
class ScreenFingerprint:
    """What tells whether a text is the one that a person saw, without the text.

    Attributes:
        digest: of the text.
        locale: its language.
        at: the moment from which times in it are told, in seconds since 1970.
        held, known: what was granted before, as the page said.
        whole: whether all was asked, also what was granted before.
    """

    digest: str
    locale: str
    at: int
    held: str = ""
    known: str = ""
    whole: bool = True

    @classmethod
    def of(cls, text: ScreenText, asked: ConsentRequest, *, whole: bool = True) -> Self:
        """Return what is kept of the text of a question."""
        moment = int(text.at.timestamp())
        return cls(text.digest, text.locale, moment, str(asked.held), str(asked.known), whole)

    def again(self, asked: ConsentRequest) -> ScreenText | None:
        """Return the text that the person saw; None if the page would say something else now."""
        text = compose(asked, datetime.fromtimestamp(self.at, UTC), self.locale)
        return text if text.digest == self.digest else None


def keep(
    request: HttpRequest,
    kind: Kind,
    content: Mapping[str, Any],
    *,
    client_id: str,
    person: SignIn | None,
) -> str | None:
    """Store a request for this browser and user; see `pending_requests.keep`.

    Side effects: `with_cookie` then marks the browser.
    """
    subject = "" if person is None else person.subject
    waiter = Waiter(_browser(request), subject, http.address_of(request))
    return pending_requests.keep(kind, content, client_id=client_id, waiter=waiter)


def keep_question(
    request: HttpRequest,
    kind: Kind,
    content: Mapping[str, Any],
    seen: ScreenFingerprint,
    asked: ConsentRequest,
) -> str:
    """Store a question that is shown, and return the handle that its form posts back."""
    whole = {**content, "seen": asdict(seen)}
    client_id = asked.client.client_id
    handle = keep(request, kind, whole, client_id=client_id, person=asked.sign_in)
    # Only anonymous requests are ever refused
    return handle or ""


def find(request: HttpRequest, handle: str, *kinds: Kind) -> Pending | None:
    """Return the request of this browser under a handle, if it is of one of these kinds."""
    browser = request.COOKIES.get(COOKIE, "")
    if not (_SECRET.fullmatch(browser) and _SECRET.fullmatch(handle)):
        return None
    found = pending_requests.find(handle, browser)
    return found if found is not None and found.kind in kinds else None


def question(
    request: HttpRequest, kind: Kind, handle: str, person: SignIn, back: str = ""
) -> tuple[Pending, ScreenFingerprint]:
    """Return the question that a form answers, and how it was shown.

    Args:
        request: the request.
        kind: the page that the form is on.
        handle: what the form posts back.
        person: the user who answers.
        back: the way back to the question; by default that of the authorization endpoint.

    Raises:
        NoLonger: this browser has no such page any more, or another user saw it.
    """
    found = find(request, handle, kind, Kind.REQUEST)
    if found is None:
        raise NoLonger("This page is too old, or belongs to another browser. Start again.")
    if found.kind != kind:
        description = "A newer page asks the same question. This one is not used any more."
        raise NoLonger(description, back=way_back(request, found))
    if found.subject != person.subject:
        description = "This page was shown to another account than the one that is signed in now."
        raise NoLonger(description, back=back or way_back(request, found))
    return found, ScreenFingerprint(**found.content["seen"])


def is_too_old(found: Pending) -> bool:
    """Return True if a page was open for longer than it may be answered."""
    return clock.now() - found.kept_at > conf.authorization_request_lifetime


def way_back(request: HttpRequest, found: Pending) -> str:
    """Return the address that asks the same question again, of the user who is signed in then.

    A sign-in since the page was shown is one that the request may have asked for.
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
