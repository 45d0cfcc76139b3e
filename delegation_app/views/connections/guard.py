"""What all pages about a person's connections do alike: who may in, and what is refused how."""

from __future__ import annotations

import functools
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Concatenate, Final, ParamSpec

from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare

from delegation_app import http
from delegation_app.protocol.errors import InvalidRequest, OAuthError
from delegation_app.protocol.requests.parameters import Parameters
from delegation_app.services.audit import RequestContext
from delegation_app.services.delegations.terms import SignIn
from delegation_app.views import csrf, pages, sign_in
from delegation_app.views.standalone import standalone

P = ParamSpec("P")
_View = Callable[Concatenate[HttpRequest, SignIn, P], HttpResponse]

_SALT: Final = "delegation_app.connections"
_DONE: Final = "delegation_done"


class ShownToAnother(OAuthError):
    """The form came from a page that was shown to another person."""

    code = "access_denied"
    status = 403


def for_signed_in_users(
    *methods: str,
) -> Callable[[_View[P]], Callable[Concatenate[HttpRequest, P], HttpResponse]]:
    """Decorate a page: for people who are signed in, over https, with these methods only.

    A POST must come from a form that was shown to the same person. Whatever is raised becomes a
    page.
    """

    def decorate(view: _View[P]) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
        def admitted(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
            http.require_https(request)
            if request.method not in methods:
                return _wrong_method(request, methods)
            person = sign_in.current(request)
            if person is None:
                return _to_sign_in(request)
            return view(request, person, *args, **kwargs)

        @sign_in.looked_at_now
        @csrf.protected(problem)
        @standalone
        def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
            try:
                return admitted(request, *args, **kwargs)
            except Exception as error:  # noqa: BLE001 - people get a page, whatever happened
                return problem(request, http.as_oauth_error(error, request))

        functools.update_wrapper(guarded, view)
        return guarded

    return decorate


def form_of(request: HttpRequest, person: SignIn) -> Parameters:
    """Return what a form of ours sent.

    A CSRF token belongs to a browser. A site whose sign-in keeps it when people change would let
    one person answer a page that was made for another, so the form says whose it is.

    Raises:
        ShownToAnother: the form was another person's, or none of ours.
        InvalidRequest: as `http.read_form`.
    """
    parameters = http.read_form(request)
    if not constant_time_compare(parameters.get("person") or "", form_owner(person)):
        raise ShownToAnother("This page was shown to another user. Nothing was changed.")
    return parameters


def form_owner(person: SignIn) -> str:
    """Return the value of a form's field `person`."""
    return signing.Signer(salt=_SALT).signature(person.subject)


def context_of(request: HttpRequest, person: SignIn) -> RequestContext:
    """Return the person as actor, and from where."""
    return http.context_of(request, person.subject)


def show(
    request: HttpRequest,
    person: SignIn,
    template: str,
    context: dict[str, Any],
    refused: OAuthError | None = None,
) -> HttpResponse:
    """Render a page.

    Args:
        request: the request.
        person: whose page it is.
        template: a template's name below `delegation_app/connections/`.
        context: its variables.
        refused: why a form is shown again.
    """
    whole = {"person": person.user, "mark": form_owner(person), "refused": refused, **context}
    status = HTTPStatus.OK if refused is None else refused.status
    return pages.page(request, f"connections/{template}", whole, status=status)


def problem(request: HttpRequest, error: OAuthError) -> HttpResponse:
    """Render a refusal."""
    context = {"error": error, "request_id": http.request_id_of(request)}
    response = pages.page(request, "connections/problem.html", context, status=error.status)
    http.with_error_headers(response, error)
    return response


def flash(request: HttpRequest, **what: str | int) -> None:
    """Keep what was done, for the next page to say. A link can't put that into its address."""
    request.session[_DONE] = what


def pop_flash(request: HttpRequest) -> dict[str, Any] | None:
    """Return what was done just now, once."""
    done: dict[str, Any] | None = request.session.pop(_DONE, None)
    return done


def _to_sign_in(request: HttpRequest) -> HttpResponse:
    return sign_in.ask(request, request.META.get("QUERY_STRING", ""))


def _wrong_method(request: HttpRequest, methods: tuple[str, ...]) -> HttpResponse:
    response = problem(request, InvalidRequest(f"Use {' or '.join(methods)}."))
    response.status_code = HTTPStatus.METHOD_NOT_ALLOWED
    response["Allow"] = ", ".join(methods)
    return response
