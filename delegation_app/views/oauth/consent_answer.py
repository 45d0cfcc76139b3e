"""The forms of the consent page."""

from __future__ import annotations

from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse

from delegation_app import http
from delegation_app.protocol.errors import OAuthError
from delegation_app.protocol.requests.parameters import Parameters
from delegation_app.services import audit
from delegation_app.services.consent import decision, history, pending_requests, screen, validation
from delegation_app.services.consent.decision import AskAgain, Decision
from delegation_app.services.consent.pending_requests import Kind
from delegation_app.services.consent.request import ConsentRequest
from delegation_app.views import pages, sign_in
from delegation_app.views.oauth import consent_page, consent_session
from delegation_app.views.pages import NoLonger

_SIGN_IN = "sign-in"


def answer(request: HttpRequest) -> HttpResponse:
    """Process a form of the authorization endpoint: a decision or a sign-out.

    Raises:
        OAuthError: the form is refused.
    """
    parameters = http.read_form(request)
    handle, pressed = parameters.require("handle"), parameters.require("decision")
    if pressed == _SIGN_IN:
        return _sign_out(request, handle)
    user = sign_in.current(request)
    if user is None:
        raise _signed_out(request, handle)
    found = consent_session.answered(request, Kind.CONSENT, parameters, user)
    requested = validation.restore(found.content["request"], handle, user)
    try:
        outcome = consent_page.decide(request, requested, parameters, found)
    except OAuthError as error:
        repeated = None if error.recorded else _repeated(request, requested, parameters)
        if repeated is not None:
            return repeated
        if isinstance(error, AskAgain):
            pending_requests.replace(handle)
            shown = screen.compose(history.with_previous_grants(history.look_up(requested)))
            query = found.content["query"]
            return consent_page.screen_page(request, shown, query=query, again=(parameters, error))
        context, client_id = http.context_of(request, user.subject), requested.client.client_id
        audit.record_refusal(error, context, client_id=client_id, endpoint=request.path)
        raise
    return consent_page.respond(request, outcome)


def forged(request: HttpRequest, error: OAuthError) -> HttpResponse:
    """Render the refusal of a form without a valid CSRF token, with a link back to its screen.

    A sign-in in another window invalidates the tokens of open pages.
    """
    try:
        handle = http.read_form(request).get("handle") or ""
        found = consent_session.find(request, handle, Kind.CONSENT, Kind.REQUEST)
        back = "" if found is None else consent_session.way_back(request, found)
    except Exception as failure:  # noqa: BLE001 - the form is refused whether or not this works
        http.as_oauth_error(failure, request)
        back = ""
    return pages.error_page(request, error, back=back)


def _signed_out(request: HttpRequest, handle: str) -> NoLonger:
    found = consent_session.find(request, handle, Kind.CONSENT)
    if found is None:
        return NoLonger("You are signed out. Start again in the app.")
    back = consent_session.way_back(request, found)
    return NoLonger("You are signed out. Sign in, and the question is shown again.", back=back)


def _sign_out(request: HttpRequest, handle: str) -> HttpResponse:
    found = consent_session.find(request, handle, Kind.REQUEST, Kind.CONSENT)
    if found is None:
        raise NoLonger("This page is too old, or belongs to another browser. Start again.")
    logout(request)
    return sign_in.ask_for(request, consent_session.resuming(handle))


def _repeated(
    request: HttpRequest, requested: ConsentRequest, parameters: Parameters
) -> HttpResponse | None:
    first = decision.first_answer(requested.sign_in.user, request_digest=requested.digest)
    if first is None:
        return None
    outcome = decision.repeat(requested, first, consent_page.answer_of(requested, parameters))
    if outcome is not None:
        return consent_page.respond(request, outcome)
    context = {
        "app": screen.app_name(requested),
        "is_denied": first.decision == Decision.DENIED,
        "back": f"{request.path}?{consent_session.resuming(requested.handle)}",
    }
    return pages.page(request, "answered.html", context, status=400)
