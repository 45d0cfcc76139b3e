"""The pages of a consent request, for a browser and for a device."""

from __future__ import annotations

import functools
from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from delegation_app import http
from delegation_app.protocol.errors import OAuthError
from delegation_app.protocol.requests.parameters import Parameters
from delegation_app.protocol.scope import Scope
from delegation_app.services.consent import decision, durations, screen
from delegation_app.services.consent.decision import Answer, AskAgain, ConsentOutcome
from delegation_app.services.consent.pending_requests import Kind, Pending
from delegation_app.services.consent.request import ConsentRequest
from delegation_app.services.consent.screen import Screen, app_name
from delegation_app.views import csrf, pages, sign_in
from delegation_app.views.oauth import consent_session
from delegation_app.views.standalone import standalone

_View: TypeAlias = Callable[[HttpRequest], HttpResponse]
_Refusal: TypeAlias = Callable[[HttpRequest, OAuthError], HttpResponse]


def endpoint(*, post: _View, refusal: _Refusal, forged: _Refusal) -> Callable[[_View], _View]:
    """Decorate the GET of a browser endpoint with its forms, its refusals and its CSRF check.

    Args:
        post: processes its forms.
        refusal: renders an error.
        forged: renders the refusal of a form without a CSRF token.
    """

    def decorate(get: _View) -> _View:
        @functools.wraps(get)
        def view(request: HttpRequest) -> HttpResponse:
            try:
                http.require_https(request)
                method = {"GET": get, "POST": post}.get(request.method or "", pages.wrong_method)
                response = method(request)
            except Exception as error:  # noqa: BLE001 - users get a page, whatever happened
                response = refusal(request, http.as_oauth_error(error, request))
            return consent_session.with_cookie(request, response)

        return sign_in.looked_at_now(csrf.protected(forged)(standalone(view)))

    return decorate


def respond(
    request: HttpRequest, prepared: Screen | ConsentOutcome, query: str = "", user_code: str = ""
) -> HttpResponse:
    """Show the screen or the pending approval, or return to the client.

    Args:
        request: the HTTP request.
        prepared: the prepared consent request.
        query, user_code: see `screen_page`.
    """
    if isinstance(prepared, Screen):
        return screen_page(request, prepared, query=query, user_code=user_code)
    if not prepared.is_pending:
        return pages.redirect(prepared.location)
    # RFC 6749 section 4.1.2.1: no automatic redirect, or the user could not read it
    context = {"app": app_name(prepared.request), "back": prepared.location}
    return pages.page(request, "consent_waiting.html", context)


def screen_page(
    request: HttpRequest,
    shown: Screen,
    *,
    query: str = "",
    user_code: str = "",
    again: tuple[Parameters, AskAgain] | None = None,
) -> HttpResponse:
    """Show a screen, and keep its request for the decision.

    Args:
        request: the HTTP request.
        shown: the screen.
        query: the client's request as received, which leads back to the screen.
        user_code: the code of the device as typed.
        again: the refused form and its error, if the screen is shown again.
    """
    requested = shown.request
    kind, template = Kind.CONSENT, "consent.html"
    if requested.is_on_a_device:
        kind, template = Kind.DEVICE, "device_question.html"
    content = {"query": query, "request": requested.to_json(), "screen": shown.fingerprint}
    client_id = requested.client.client_id
    handle = consent_session.keep(
        request, kind, content, client_id=client_id, user=requested.sign_in
    )
    # Only anonymous requests are ever refused
    context = {"handle": handle or "", "user_code": user_code, **_form(shown, again)}
    target = "" if requested.target is None else requested.target.uri
    status = 200 if again is None else 400
    return pages.page(request, template, context, status=status, form_leads_to=target)


def decide(
    request: HttpRequest, requested: ConsentRequest, parameters: Parameters, found: Pending
) -> ConsentOutcome:
    """Record the decision of a form; see `decision.decide`.

    Raises:
        AskAgain: the screen was open for too long.
    """
    if consent_session.is_too_old(found):
        sentence = _("This page was open for a long time. Read it again before you answer.")
        raise AskAgain(sentence, detail="the page is too old")
    shown = partial(screen.recompose, fingerprint=found.content["screen"])
    context = http.context_of(request, requested.sign_in.subject)
    return decision.decide(requested, answer_of(requested, parameters), context, shown)


def answer_of(requested: ConsentRequest, parameters: Parameters) -> Answer:
    """Return the user's input in the form of a screen."""
    if parameters.get("decision") == "deny":
        return Answer(is_denial=True)
    lifetime = durations.selected(requested.client, parameters.get("lifetime"))
    return Answer(Scope(parameters.all("scopes")), lifetime)


def sign_in_page(
    request: HttpRequest, requested: ConsentRequest, handle: str, back: str
) -> HttpResponse:
    """Offer a sign-out, for login pages that return signed-in users immediately.

    Args:
        request: the HTTP request.
        requested: the consent request that follows the sign-in.
        handle: of the kept request.
        back: the URL of the client for a user who declines.
    """
    context = {
        "app": app_name(requested),
        "person": requested.sign_in.user,
        "handle": handle,
        "back": back,
    }
    # The login page may redirect to any identity provider
    return pages.page(request, "sign_in_again.html", context, form_leads_to="https:")


def refusal(request: HttpRequest, error: OAuthError) -> HttpResponse:
    """Render an error, or redirect it to the client if allowed."""
    if error.redirect is None:
        return pages.error_page(request, error)
    return pages.redirect(error_address(error))


def error_address(error: OAuthError) -> str:
    """Return the URL that carries an error to the client; empty if it may not be redirected."""
    if error.redirect is None:
        return ""
    return error.redirect.carrying(error=error.code, error_description=error.description)


def _form(shown: Screen, again: tuple[Parameters, AskAgain] | None) -> dict[str, Any]:
    content = shown.content
    if again is None:
        boxes = [row for group in content["groups"] for row in group["scopes"]]
        ticked = frozenset(row["name"] for row in boxes if row["ticked"])
        return {"question": content, "ticked": ticked, "lifetime": content["time"]["chosen"]}
    parameters, error = again
    return {
        "question": content,
        "ticked": frozenset(parameters.all("scopes")),
        "lifetime": parameters.get("lifetime") or "",
        "why_again": error.sentence,
    }
