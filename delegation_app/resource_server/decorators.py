"""Bearer tokens for plain Django views."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any, Final

from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from rest_framework.exceptions import APIException, NotAuthenticated

from delegation_app.protocol.requests.request_id import HEADER, request_id
from delegation_app.protocol.scope import Scope
from delegation_app.resource_server.authentication import NO_STORE, BearerAuthentication
from delegation_app.resource_server.exceptions import InsufficientScope

View = Callable[..., HttpResponse]

_HEADERS: Final = {"auth_header": "WWW-Authenticate", "wait": "Retry-After"}


def require_token(
    *scopes: str, authentication: type[BearerAuthentication] = BearerAuthentication
) -> Callable[[View], View]:
    """Require a valid token with all of `scopes` for a view function.

    The view finds the token in `request.auth` and the principal in `request.user`. Cookies are
    ignored, so the view is exempt from CSRF checks and from `LoginRequiredMiddleware`.

    Args:
        scopes: required of the token.
        authentication: verifies it; see `BearerAuthentication.using`.

    Raises:
        ImproperlyConfigured: at decoration, for a coroutine: a verifier may block on the network.
    """
    required = Scope.parse(" ".join(scopes))

    def decorate(view: View) -> View:
        if iscoroutinefunction(view):
            raise ImproperlyConfigured("require_token does not support coroutines.")

        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            try:
                _authenticate(request, authentication(), required)
            except APIException as error:
                response: HttpResponse = _refusal(error)
            else:
                response = view(request, *args, **kwargs)
            response.headers.setdefault("Cache-Control", NO_STORE)
            response.headers.setdefault(HEADER, request_id(request.META))
            return response

        return login_not_required(csrf_exempt(guarded))

    return decorate


def _authenticate(request: Any, bearer: BearerAuthentication, required: Scope) -> None:
    authenticated = bearer.authenticate(request)
    if authenticated is None:
        error = NotAuthenticated()
        error.auth_header = bearer.challenge().header(scope=required)  # type: ignore[attr-defined]
        raise error
    request.user, request.auth = authenticated
    if not required <= request.auth.scope:
        raise InsufficientScope(required, request.auth.scope, bearer.challenge())


def _refusal(error: APIException) -> JsonResponse:
    body = error.detail if isinstance(error.detail, dict) else {"detail": error.detail}
    response = JsonResponse(body, status=error.status_code)
    for attribute, header in _HEADERS.items():
        if value := getattr(error, attribute, None):
            response[header] = str(value)
    return response
