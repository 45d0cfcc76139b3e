"""What a user answers on the consent page."""

from __future__ import annotations

from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse

from delegation_app import http
from delegation_app.protocol.errors import InvalidRequest, OAuthError
from delegation_app.protocol.requests.authorization_request import AuthorizationRequest
from delegation_app.protocol.requests.parameters import Parameters
from delegation_app.protocol.scope import Scope
from delegation_app.services import audit
from delegation_app.services.consent import authorize, durations, pending_requests, validation
from delegation_app.services.consent.authorize import FirstAnswer
from delegation_app.services.consent.decision import AskAgain
from delegation_app.services.consent.history import ConsentQuestion
from delegation_app.services.consent.pending_requests import Kind, Pending
from delegation_app.services.consent.screen import app_name
from delegation_app.services.delegations.terms import SignIn
from delegation_app.views import pages, sign_in
from delegation_app.views.oauth import consent_form, consent_page, consent_session
from delegation_app.views.oauth.consent_form import PreviousInput
from delegation_app.views.oauth.consent_session import ScreenFingerprint
from delegation_app.views.pages import NoLonger

_SIGN_IN = "sign-in"


def answer(request: HttpRequest) -> HttpResponse:
    """Take what a form of the authorization endpoint posts: an answer, or a sign-out.

    Raises:
        OAuthError: the answer is not taken.
    """
    parameters = http.read_form(request)
    handle, decision = parameters.require("handle"), parameters.require("decision")
    if decision == _SIGN_IN:
        return _sign_out(request, handle)
    person = sign_in.current(request)
    if person is None:
        raise _signed_out(request, handle)
    found, seen = consent_session.question(request, Kind.CONSENT, handle, person)
    question = _question(found, seen, person)
    if decision not in {"allow", "deny"}:
        raise InvalidRequest("The decision must be allow or deny.")
    try:
        return _decide(request, question, parameters, found)
    except OAuthError as error:
        first = None if error.recorded else authorize.find(question)
        if first is not None:
            return _first_answer(request, question, parameters, first)
        if not isinstance(error, AskAgain):
            origin, client_id = http.context_of(request, person.subject), question.client.client_id
            audit.record_refusal(error, origin, client_id=client_id, endpoint=request.path)
            raise
        pending_requests.replace(handle)
        again, question = (
            PreviousInput.of(parameters, error),
            question.looked_back(whole=seen.whole),
        )
        query = found.content["query"]
        return consent_page.consent_page(request, question, query, again, whole=seen.whole)


def forged(request: HttpRequest, error: OAuthError) -> HttpResponse:
    """Render the refusal of a form without a CSRF token, with the way back to its question.

    A sign-in in another window changes the token of a page that was opened before.
    """
    try:
        found = consent_session.find(request, _handle_of(request), Kind.CONSENT, Kind.REQUEST)
        back = "" if found is None else consent_session.way_back(request, found)
    except Exception as failure:  # noqa: BLE001 - the form is refused whether or not this works
        http.as_oauth_error(failure, request)
        back = ""
    return pages.error_page(request, error, back=back)


def _handle_of(request: HttpRequest) -> str:
    return http.read_form(request).get("handle") or ""


def _question(found: Pending, seen: ScreenFingerprint, person: SignIn) -> ConsentQuestion:
    asked = AuthorizationRequest.from_json(found.content["request"])
    question = ConsentQuestion(asked, validation.prove_again(asked), person, found.handle)
    return question.as_shown(held=Scope(seen.held.split()), known=Scope(seen.known.split()))


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


def _decide(
    request: HttpRequest, question: ConsentQuestion, parameters: Parameters, found: Pending
) -> HttpResponse:
    if consent_session.is_too_old(found):
        raise consent_form.expired()
    origin = http.context_of(request, question.sign_in.subject)
    seen = ScreenFingerprint(**found.content["seen"])
    if parameters.get("decision") == "deny":
        authorize.deny(question, origin, text=seen.again(question.asked))
    lifetime = durations.chosen(question.client, parameters.get("lifetime"))
    ticked = Scope(parameters.all("scopes"))
    try:
        code = authorize.allow(question, ticked, origin, lifetime=lifetime, shown=seen.again)
    except authorize.AwaitsConfirmation as error:
        return consent_page.waiting_page(request, question, error)
    return pages.redirect(question.request.target.carrying(code=code))


def _first_answer(
    request: HttpRequest, question: ConsentQuestion, parameters: Parameters, first: FirstAnswer
) -> HttpResponse:
    denies = parameters.get("decision") == "deny"
    ticked = Scope() if denies else Scope(parameters.all("scopes"))
    lifetime = durations.chosen(question.client, parameters.get("lifetime"))
    try:
        code = first.repeat(question, ticked, lifetime)
    except authorize.AwaitsConfirmation as error:
        return consent_page.waiting_page(request, question, error)
    if code is not None:
        return pages.redirect(question.request.target.carrying(code=code))
    context = {
        "app": app_name(question.asked),
        "is_denied": first.is_denial,
        "back": f"{request.path}?{consent_session.resuming(question.handle)}",
    }
    return pages.page(request, "answered.html", context, status=400)
