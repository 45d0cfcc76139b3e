"""Tokens for Django's own views, where no view of the REST framework stands around them."""

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
from delegation_app.resource_server.authentication import NOT_STORED, BearerAuthentication
from delegation_app.resource_server.exceptions import InsufficientScope

View = Callable[..., HttpResponse]

_HEADERS: Final = {"auth_header": "WWW-Authenticate", "wait": "Retry-After"}


def require_token(
    *scopes: str, authentication: type[BearerAuthentication] = BearerAuthentication
) -> Callable[[View], View]:
    """Make a view function that only answers a good token with all of `scopes`.

    The view finds the token in `request.auth`, the principal in `request.user`. A cookie has no
    say, so there is none to forge and the view is exempt from CSRF checks and from
    `LoginRequiredMiddleware`.

    Args:
        scopes: what the token must allow.
        authentication: what verifies it; see `BearerAuthentication.using`.

    Raises:
        ImproperlyConfigured: at decoration, for a coroutine: a verifier may wait for the network.
    """
    needed = Scope.parse(" ".join(scopes))

    def decorate(view: View) -> View:
        if iscoroutinefunction(view):
            raise ImproperlyConfigured("require_token is for views that are no coroutines.")

        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            try:
                _let_in(request, authentication(), needed)
            except APIException as refused:
                answer: HttpResponse = _refusal(refused)
            else:
                answer = view(request, *args, **kwargs)
            answer.headers.setdefault("Cache-Control", NOT_STORED)
            answer.headers.setdefault(HEADER, request_id(request.META))
            return answer

        return login_not_required(csrf_exempt(guarded))

    return decorate


def _let_in(request: Any, bearer: BearerAuthentication, needed: Scope) -> None:
    found = bearer.authenticate(request)
    if found is None:
        missing = NotAuthenticated()
        missing.auth_header = bearer.challenge().header(scope=needed)  # type: ignore[attr-defined]
        raise missing
    request.user, request.auth = found
    if not needed <= request.auth.scope:
        raise InsufficientScope(needed, request.auth.scope, bearer.challenge())


def _refusal(refused: APIException) -> JsonResponse:
    body = refused.detail if isinstance(refused.detail, dict) else {"detail": refused.detail}
    answer = JsonResponse(body, status=refused.status_code)
    for attribute, header in _HEADERS.items():
        if value := getattr(refused, attribute, None):
            answer[header] = str(value)
    return answer
