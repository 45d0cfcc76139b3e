"""The page on which a person connects a device (RFC 8628 section 3.3)."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse

from delegation_app import http
from delegation_app.protocol.errors import InvalidRequest, OAuthError, TooManyAttempts
from delegation_app.protocol.requests.parameters import Parameters
from delegation_app.protocol.scope import Scope
from delegation_app.protocol.user_code import normalised
from delegation_app.services import audit
from delegation_app.services.consent import durations
from delegation_app.services.consent.decision import AskAgain
from delegation_app.services.consent.pending_requests import Kind
from delegation_app.services.consent.screen import app_name, compose
from delegation_app.services.delegations.terms import SignIn
from delegation_app.services.device import verification
from delegation_app.services.device.verification import PendingDevice
from delegation_app.views import csrf, pages, sign_in
from delegation_app.views.oauth import consent_form, consent_session
from delegation_app.views.oauth.consent_form import PreviousInput
from delegation_app.views.oauth.consent_session import ScreenFingerprint
from delegation_app.views.standalone import standalone


def _forged(request: HttpRequest, error: OAuthError) -> HttpResponse:
    return pages.error_page(request, error, back=request.path)


@sign_in.looked_at_now
@csrf.protected(_forged)
@standalone
def device_page(request: HttpRequest) -> HttpResponse:
    """Ask for the code, show what it stands for, and take the answer.

    GET changes nothing, whatever its address says. What the last form posts back is a handle; which
    device it is, and what it may have, stays on the server.
    """
    try:
        http.require_https(request)
        if request.method in {"GET", "POST"}:
            response = _respond(request)
        else:
            response = pages.wrong_method(request)
    except Exception as error:  # noqa: BLE001 - people get a page, whatever happened
        response = pages.error_page(request, http.as_oauth_error(error, request))
    return consent_session.with_cookie(request, response)


def _respond(request: HttpRequest) -> HttpResponse:
    reads = request.method == "GET"
    parameters = http.read_query(request) if reads else http.read_form(request)
    person = sign_in.current(request)
    # RFC 8628 section 3.3: the person authenticates first
    if person is None:
        code = normalised(parameters.get("user_code") or "")
        return sign_in.ask(request, urlencode({"user_code": code}) if code else "")
    if not reads and "handle" in parameters:
        return _answer(request, parameters, person)
    typed = parameters.get("user_code") or ""
    return _code_page(request, typed) if reads else _question_page(request, typed, person)


def _code_page(request: HttpRequest, typed: str, refused: OAuthError | None = None) -> HttpResponse:
    # What is no code is not repeated: a link must not put words on our page
    context = {"user_code": normalised(typed) or "", "is_wrong": refused is not None}
    status = 200 if refused is None else refused.status
    return pages.page(request, "device.html", context, status=status)


def _question_page(request: HttpRequest, typed: str, person: SignIn) -> HttpResponse:
    origin = http.context_of(request, person.subject)
    try:
        waiting = verification.find(typed, person, origin)
    except TooManyAttempts:
        raise
    except OAuthError as error:
        audit.record_refusal(error, origin, client_id="", endpoint=request.path)
        raise
    if waiting is None:
        return _wrong_code(request, typed, origin)
    # RFC 8628 section 3.3.1: shown also where it was not typed, to be compared with the device
    return _ask(request, waiting, user_code=normalised(typed) or "")


def _ask(
    request: HttpRequest,
    waiting: PendingDevice,
    before: PreviousInput | None = None,
    *,
    user_code: str = "",
) -> HttpResponse:
    text = compose(waiting.asked)
    asked, seen = waiting.asked, ScreenFingerprint.of(text, waiting.asked)
    context = {
        "handle": consent_session.keep_question(
            request, Kind.DEVICE, waiting.as_json(), seen, asked
        ),
        "user_code": user_code,
        **consent_form.shown(text, before),
    }
    status = 200 if before is None else 400
    return pages.page(request, "device_question.html", context, status=status)


def _wrong_code(request: HttpRequest, typed: str, origin: audit.RequestContext) -> HttpResponse:
    error = InvalidRequest("There is no such code.", detail="user code unknown or expired")
    audit.record_refusal(error, origin, client_id="", endpoint=request.path)
    return _code_page(request, typed, error)


def _answer(request: HttpRequest, parameters: Parameters, person: SignIn) -> HttpResponse:
    handle, decision = parameters.require("handle"), parameters.require("decision")
    found, seen = consent_session.question(request, Kind.DEVICE, handle, person, request.path)
    if decision not in {"allow", "deny"}:
        raise InvalidRequest("The decision must be allow or deny.")
    origin = http.context_of(request, person.subject)
    try:
        waiting = verification.again(found.content, person)
        if consent_session.is_too_old(found):
            raise consent_form.expired()
        consent = _decide(waiting, parameters, origin, seen)
    except AskAgain as error:
        return _ask(request, waiting, PreviousInput.of(parameters, error))
    except OAuthError as error:
        first = None if error.recorded else verification.answered(found.content, person)
        if first is not None:
            return _answered_page(request, first, decision)
        audit.record_refusal(error, origin, client_id="", endpoint=request.path)
        raise
    context = {"app": app_name(waiting.asked), "consent": consent}
    return pages.page(request, "device_done.html", context)


def _answered_page(
    request: HttpRequest, first: verification.DeviceDecision, decision: str
) -> HttpResponse:
    differs = (first.consent is None) != (decision == "deny")
    context = {"app": first.app, "consent": first.consent, "differs": differs}
    return pages.page(request, "device_done.html", context, status=400 if differs else 200)


def _decide(
    waiting: PendingDevice,
    parameters: Parameters,
    origin: audit.RequestContext,
    seen: ScreenFingerprint,
) -> Any:
    if parameters.get("decision") == "deny":
        return verification.deny(waiting, origin, text=seen.again(waiting.asked))
    lifetime = durations.chosen(waiting.asked.client, parameters.get("lifetime"))
    ticked = Scope(parameters.all("scopes"))
    return verification.allow(waiting, ticked, origin, lifetime=lifetime, shown=seen.again)
