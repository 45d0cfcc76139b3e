"""The page on which a user connects a device (RFC 8628 section 3.3)."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse

from delegation_app import http
from delegation_app.protocol.errors import InvalidRequest, OAuthError, TooManyAttempts
from delegation_app.protocol.requests.parameters import Parameters
from delegation_app.protocol.user_code import normalised
from delegation_app.services import audit
from delegation_app.services.consent import decision, preparation, screen
from delegation_app.services.consent.decision import AskAgain
from delegation_app.services.consent.fragments import sanitize
from delegation_app.services.consent.pending_requests import Kind
from delegation_app.services.delegations.terms import SignIn
from delegation_app.services.device import verification
from delegation_app.views import pages, sign_in
from delegation_app.views.oauth import consent_page, consent_session


def _forged(request: HttpRequest, error: OAuthError) -> HttpResponse:
    return pages.error_page(request, error, back=request.path)


def _post(request: HttpRequest) -> HttpResponse:
    parameters, user = http.read_form(request), sign_in.current(request)
    if user is None:
        return _sign_in(request, parameters)
    if "handle" in parameters:
        return _answer(request, parameters, user)
    return _screen(request, parameters.get("user_code") or "", user)


@consent_page.endpoint(post=_post, refusal=pages.error_page, forged=_forged)
def device_page(request: HttpRequest) -> HttpResponse:
    """Show the form for a user code by GET. POST shows its screen, and records the decision.

    GET has no side effects, whatever its query. The last form posts only a handle; the device and
    its request stay on the server.
    """
    parameters = http.read_query(request)
    if sign_in.current(request) is None:
        return _sign_in(request, parameters)
    return _code_page(request, parameters.get("user_code") or "")


def _sign_in(request: HttpRequest, parameters: Parameters) -> HttpResponse:
    # RFC 8628 section 3.3: the user authenticates first
    code = normalised(parameters.get("user_code") or "")
    return sign_in.ask(request, urlencode({"user_code": code}) if code else "")


def _code_page(request: HttpRequest, typed: str, refused: OAuthError | None = None) -> HttpResponse:
    # Only a code is repeated: a link must not choose the text of this page
    context = {"user_code": normalised(typed) or "", "is_wrong": refused is not None}
    status = 200 if refused is None else refused.status
    return pages.page(request, "device.html", context, status=status)


def _screen(request: HttpRequest, typed: str, user: SignIn) -> HttpResponse:
    context = http.context_of(request, user.subject)
    try:
        requested = verification.find(typed, user, context)
    except TooManyAttempts:
        raise
    except OAuthError as error:
        audit.record_refusal(error, context, client_id="", endpoint=request.path)
        raise
    if requested is None:
        unknown = InvalidRequest("There is no such code.", detail="user code unknown or expired")
        audit.record_refusal(unknown, context, client_id="", endpoint=request.path)
        return _code_page(request, typed, unknown)
    # RFC 8628 section 3.3.1: shown even if not typed, for comparison with the device
    user_code, prepared = normalised(typed) or "", preparation.prepare(requested, context)
    return consent_page.respond(request, prepared, user_code=user_code)


def _answer(request: HttpRequest, parameters: Parameters, user: SignIn) -> HttpResponse:
    found = consent_session.answered(request, Kind.DEVICE, parameters, user, request.path)
    shown = found.content["request"]
    try:
        requested = verification.restore(shown, user)
        outcome = consent_page.decide(request, requested, parameters, found)
    except AskAgain as error:
        again = screen.compose(requested)
        return consent_page.screen_page(request, again, again=(parameters, error))
    except OAuthError as error:
        # A recorded error may come from an unavailable database
        answered = {"device_codes": shown["device"]}
        first = None if error.recorded else decision.first_answer(user.user, **answered)
        if first is not None:
            return _done(request, first, parameters.get("decision"))
        context = http.context_of(request, user.subject)
        audit.record_refusal(error, context, client_id="", endpoint=request.path)
        raise
    return _done(request, outcome.record)


def _done(request: HttpRequest, record: Any, repeated: str | None = None) -> HttpResponse:
    is_denied = decision.is_denied(record)
    differs = repeated is not None and is_denied != (repeated == "deny")
    context = {
        "app": sanitize(record.client_name) or record.client_id_value,
        "consent": None if is_denied else record,
        "differs": differs,
    }
    return pages.page(request, "device_done.html", context, status=400 if differs else 200)
