"""Django's CSRF check, with a refusal that is a page like our others whatever the site has set."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeAlias, cast

from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import CsrfViewMiddleware
from django.utils.decorators import decorator_from_middleware
from django.views.decorators.csrf import csrf_exempt

from delegation_app import http
from delegation_app.protocol.errors import OAuthError

P = ParamSpec("P")
_View: TypeAlias = Callable[Concatenate[HttpRequest, P], HttpResponse]


class CsrfRefused(OAuthError):
    """The form is not from this site, or is from before a sign-in."""

    code = "csrf_failed"
    status = 403


def protected(
    refusal: Callable[[HttpRequest, OAuthError], HttpResponse],
) -> Callable[[_View[P]], _View[P]]:
    """Decorate a view so that each POST needs a CSRF token.

    Args:
        refusal: renders the page for a request without one.
    """

    class Check(CsrfViewMiddleware):
        def _reject(self, request: HttpRequest, reason: str) -> HttpResponse:
            error = CsrfRefused(
                "This form cannot be used any more, or did not come from this site. Load the page "
                "again, and allow cookies.",
                detail=reason,
            )
            return refusal(request, http.as_oauth_error(error, request))

    def decorate(view: _View[P]) -> _View[P]:
        checked: Any = decorator_from_middleware(Check)(view)
        # Exempt from the site's own check only
        return cast("_View[P]", csrf_exempt(checked))

    return decorate
