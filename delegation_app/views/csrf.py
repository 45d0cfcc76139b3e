"""Django's CSRF check with a page of this app as its refusal, whatever the site configures."""

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
    """The form is from another site, or older than the sign-in."""

    code = "csrf_failed"
    status = 403


def protected(
    refusal: Callable[[HttpRequest, OAuthError], HttpResponse],
) -> Callable[[_View[P]], _View[P]]:
    """Decorate a view to require a CSRF token for each POST.

    Args:
        refusal: renders the page for a request without one.
    """

    class Check(CsrfViewMiddleware):
        def _reject(self, request: HttpRequest, reason: str) -> HttpResponse:
            error = CsrfRefused(
                "This form is no longer valid, or did not come from this site. Load the page "
                "again, and allow cookies.",
                detail=reason,
            )
            return refusal(request, http.as_oauth_error(error, request))

    def decorate(view: _View[P]) -> _View[P]:
        checked: Any = decorator_from_middleware(Check)(view)
        # Exempt from the site's check only
        return cast("_View[P]", csrf_exempt(checked))

    return decorate
