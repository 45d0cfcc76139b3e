"""The shared parts of the connection pages: access, forms and refusals."""

from __future__ import annotations

import functools
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Concatenate, Final, ParamSpec

from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare

from delegation_app import http
from delegation_app.protocol.errors import OAuthError
from delegation_app.protocol.requests.parameters import Parameters
from delegation_app.services.audit import RequestContext
from delegation_app.services.delegations.terms import SignIn
from delegation_app.views import csrf, pages, sign_in
from delegation_app.views.standalone import standalone

P = ParamSpec("P")
_View = Callable[Concatenate[HttpRequest, SignIn, P], HttpResponse]

_problem: Final = functools.partial(pages.error_page, of_connections=True)
_SALT: Final = "delegation_app.connections"
_DONE: Final = "delegation_done"


class ShownToAnother(OAuthError):
    """The form belongs to another user, or names no owner."""

    code = "access_denied"
    status = 403


def for_signed_in_users(
    *methods: str,
) -> Callable[[_View[P]], Callable[Concatenate[HttpRequest, P], HttpResponse]]:
    """Decorate a page: for signed-in users, over https, with these methods only.

    A POST requires a form that was shown to the same user. Every error becomes a page.
    """

    def decorate(view: _View[P]) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
        def admitted(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
            http.require_https(request)
            if request.method not in methods:
                return pages.wrong_method(request, methods, of_connections=True)
            person = sign_in.current(request)
            if person is None:
                return _to_sign_in(request)
            return view(request, person, *args, **kwargs)

        @sign_in.looked_at_now
        @csrf.protected(_problem)
        @standalone
        def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
            try:
                return admitted(request, *args, **kwargs)
            except Exception as error:  # noqa: BLE001 - every error becomes a page
                return _problem(request, http.as_oauth_error(error, request))

        functools.update_wrapper(guarded, view)
        return guarded

    return decorate


def form_of(request: HttpRequest, person: SignIn) -> Parameters:
    """Return the fields of a form.

    A CSRF token belongs to a browser, and may outlive a change of user. So the form names its
    owner, and another user cannot submit it.

    Raises:
        ShownToAnother: the form is of another user, or has no owner.
        InvalidRequest: see `http.read_form`.
    """
    parameters = http.read_form(request)
    if not constant_time_compare(parameters.get("person") or "", form_owner(person)):
        raise ShownToAnother("The form does not belong to the signed-in user. Load the page again.")
    return parameters


def form_owner(person: SignIn) -> str:
    """Return the value of a form's field `person`."""
    return signing.Signer(salt=_SALT).signature(person.subject)


def context_of(request: HttpRequest, person: SignIn) -> RequestContext:
    """Return the context of a request, with the user as the actor."""
    return http.context_of(request, person.subject)


def show_page(
    request: HttpRequest,
    person: SignIn,
    template: str,
    context: dict[str, Any],
    refused: OAuthError | None = None,
) -> HttpResponse:
    """Render a page.

    Args:
        request: the request.
        person: the signed-in user.
        template: a template's name below `delegation_app/connections/`.
        context: its variables.
        refused: the error of a form that is shown again.
    """
    whole = {"person": person.user, "mark": form_owner(person), "refused": refused, **context}
    status = HTTPStatus.OK if refused is None else refused.status
    return pages.page(request, f"connections/{template}", whole, status=status)


def flash(request: HttpRequest, **what: str | int) -> None:
    """Keep a message for the next page, in the session: a link cannot forge it."""
    request.session[_DONE] = what


def pop_flash(request: HttpRequest) -> dict[str, Any] | None:
    """Return the message of `flash` and remove it."""
    done: dict[str, Any] | None = request.session.pop(_DONE, None)
    return done


def _to_sign_in(request: HttpRequest) -> HttpResponse:
    return sign_in.ask(request, request.META.get("QUERY_STRING", ""))
