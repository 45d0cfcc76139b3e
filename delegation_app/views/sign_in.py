"""The signed-in user of a browser, the time of the sign-in, and redirects to the login page."""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, cast
from urllib.parse import urlencode

from django.conf import settings
from django.contrib.auth import SESSION_KEY, get_user
from django.contrib.auth.views import redirect_to_login
from django.core import signing
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import resolve_url
from django.utils.encoding import escape_uri_path, iri_to_uri
from django.utils.functional import SimpleLazyObject
from django.utils.http import escape_leading_slashes

from delegation_app import clock, http, primary
from delegation_app.conf import conf
from delegation_app.protocol.errors import InvalidRequest
from delegation_app.protocol.secrets import digest
from delegation_app.services.consent import pending_requests
from delegation_app.services.consent.request import ConsentRequest
from delegation_app.services.delegations.terms import SignIn

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

P = ParamSpec("P")
_View = Callable[Concatenate[HttpRequest, P], HttpResponse]

# Keys of the session. A site that knows the `acr` sets it itself.
AUTH_TIME: Final = "delegation_auth_time"
ACR: Final = "delegation_acr"

MARKER: Final = "prompted"
_SALT: Final = "delegation_app.sign_in"
# Django's login page drops a longer `next`, and the user would not return here
_LONGEST_NEXT: Final = 2048


def looked_at_now(view: _View[P]) -> _View[P]:
    """Decorate a view that depends on the signed-in user: it reads nothing from a replica.

    If a middleware has read the session and the user from a replica, they are read again.
    """

    @functools.wraps(view)
    def reading(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        with primary.reading():
            # Without a router there is only one database
            if settings.DATABASE_ROUTERS and hasattr(request, "session"):
                _look_again(request)
            return view(request, *args, **kwargs)

    return reading


def remember(request: HttpRequest, user: AbstractBaseUser, **_kwargs: Any) -> None:  # noqa: ARG001
    """Store the time of a sign-in. Receiver of `user_logged_in`."""
    if hasattr(request, "session"):
        request.session[AUTH_TIME] = clock.now().timestamp()


def current(request: HttpRequest) -> SignIn | None:
    """Return the signed-in user with the time and method of the sign-in, or None."""
    user = request.user
    if not user.is_authenticated:
        return None
    noted = request.session.get(AUTH_TIME)
    auth_time = datetime.fromtimestamp(noted, UTC) if noted else user.last_login or clock.now()
    return SignIn(user, auth_time, request.session.get(ACR, conf.default_acr))


def _look_again(request: HttpRequest) -> None:
    before = request.session
    if not before.accessed:
        return
    # A session without a row, or modified by a middleware, is kept
    if not before.modified and hasattr(before, "model"):
        # A session that is not in the replica yet has lost its key
        key = before.session_key or request.COOKIES.get(settings.SESSION_COOKIE_NAME)
        request.session = type(before)(key)
        request.session.accessed = True
    known = request.user

    def named() -> Any:
        # Otherwise the site authenticates by other means than the session
        is_of_session = SESSION_KEY in before or SESSION_KEY in request.session
        return get_user(request) if is_of_session else known

    # Lazy: an unavailable database then fails inside the view, which handles that
    request.user = cast("Any", SimpleLazyObject(named))


def is_due(request: HttpRequest, requested: ConsentRequest) -> bool:
    """Return whether a new sign-in is requested and has not happened yet."""
    prompted = prompted_at(request)
    if prompted is not None and requested.sign_in.auth_time >= prompted:
        return False
    return requested.requires_sign_in(clock.now())


def prompted_at(request: HttpRequest) -> datetime | None:
    """Return when this request sent the user to the login page, or None.

    The URL has a signed marker, which no client can forge and which survives a change of user.
    """
    marker = request.GET.get(MARKER, "")
    try:
        query_digest, prompted = signing.loads(
            marker, salt=_SALT, max_age=pending_requests.lifetime()
        )
    except signing.BadSignature:
        return None
    if query_digest != digest(unmarked(request)):
        return None
    return datetime.fromtimestamp(prompted, UTC)


def marked(query: str, at: datetime) -> str:
    """Return a query with the signed time at which the user was prompted to sign in."""
    marker = signing.dumps([digest(query), at.timestamp()], salt=_SALT)
    return f"{query}&{urlencode({MARKER: marker})}"


def unmarked(request: HttpRequest) -> str:
    """Return the query of a request without the marker."""
    pairs = request.META.get("QUERY_STRING", "").split("&")
    return "&".join(pair for pair in pairs if not pair.startswith(f"{MARKER}="))


def ask(request: HttpRequest, query: str = "") -> HttpResponse:
    """Redirect to the site's login page, which returns to this path with a query.

    If the URL is too long for the login page, the query is left out, or the whole URL.
    """
    path = escape_leading_slashes(escape_uri_path(request.path))
    back = _short(f"{path}?{query}" if query else path) or _short(path)
    login = resolve_url(settings.LOGIN_URL)
    response = redirect_to_login(back, login) if back else HttpResponseRedirect(login)
    http.never_stored(response)
    return response


def ask_for(request: HttpRequest, query: str) -> HttpResponse:
    """Redirect to the login page on behalf of an app; see `marked`.

    Raises:
        InvalidRequest: the request is too long for the login page.
    """
    whole = marked(query, clock.now())
    if not _short(f"{request.path}?{whole}"):
        raise InvalidRequest("The request is too long. Sign in first, then start again in the app.")
    return ask(request, whole)


def _short(address: str) -> str:
    # As encoded: percent-encoding lengthens it, and Django refuses to redirect to 16,384 characters
    return address if len(iri_to_uri(address)) <= _LONGEST_NEXT else ""
