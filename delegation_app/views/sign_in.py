"""Who sits in front of the browser, since when, and how to ask them to sign in."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.shortcuts import resolve_url

from delegation_app import clock
from delegation_app.conf import conf
from delegation_app.protocol.secrets import digest
from delegation_app.services.authorization import Interaction
from delegation_app.services.terms import SignIn

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

# Sessions carry these two; a site that knows better about `acr` writes its own value.
AUTH_TIME: Final = "delegation_auth_time"
ACR: Final = "delegation_acr"

_MARKER: Final = "prompted"
_SALT: Final = "delegation_app.sign_in"


def remember(request: HttpRequest, user: AbstractBaseUser, **_kwargs: Any) -> None:  # noqa: ARG001
    """Note the time of a sign-in. Receiver of `user_logged_in`."""
    if hasattr(request, "session"):
        request.session[AUTH_TIME] = clock.now().timestamp()


def current(request: HttpRequest) -> SignIn | None:
    """Return the person of this session, or None."""
    user = request.user
    if not user.is_authenticated:
        return None
    noted = request.session.get(AUTH_TIME)
    auth_time = datetime.fromtimestamp(noted, UTC) if noted else user.last_login or clock.now()
    return SignIn(user, auth_time, request.session.get(ACR, conf.default_acr))


def is_due(request: HttpRequest, sign_in: SignIn, interaction: Interaction) -> bool:
    """Tell whether the request wants a fresh sign-in that has not happened yet."""
    prompted = _prompted_at(request)
    if prompted is not None and sign_in.auth_time >= prompted:
        return False
    return interaction.wants_sign_in(sign_in.auth_time, clock.now())


def ask(request: HttpRequest) -> HttpResponse:
    """Send the person to the site's login page, which sends them back here.

    A signed marker comes back with them: it proves that we asked, and when. No client can make
    one, and no session has to survive the change of user.
    """
    query = _query_without_marker(request)
    marker = signing.dumps([digest(query), clock.now().timestamp()], salt=_SALT)
    back = f"{request.path}?{query}&{urlencode({_MARKER: marker})}"
    return redirect_to_login(back, resolve_url(settings.LOGIN_URL))


def _prompted_at(request: HttpRequest) -> datetime | None:
    marker = request.GET.get(_MARKER, "")
    try:
        query_digest, prompted_at = signing.loads(
            marker, salt=_SALT, max_age=conf.authorization_request_lifetime
        )
    except signing.BadSignature:
        return None
    if query_digest != digest(_query_without_marker(request)):
        return None
    return datetime.fromtimestamp(prompted_at, UTC)


def _query_without_marker(request: HttpRequest) -> str:
    pairs = request.META.get("QUERY_STRING", "").split("&")
    return "&".join(pair for pair in pairs if not pair.startswith(f"{_MARKER}="))
