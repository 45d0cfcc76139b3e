"""The authorization endpoint (RFC 6749 section 3.1)."""

from __future__ import annotations

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_protect

from delegation_app.protocol.errors import (
    ConsentRequired,
    InvalidRequest,
    LoginRequired,
    OAuthError,
    ServerError,
)
from delegation_app.protocol.parameters import Parameters
from delegation_app.protocol.printable import logger_for
from delegation_app.protocol.scope import Scope
from delegation_app.protocol.secrets import new_secret
from delegation_app.services import audit, authorization, consent, prior, times
from delegation_app.services.answers import AskAgain
from delegation_app.services.question import Question, must_ask
from delegation_app.services.question_text import Text, app_name, compose
from delegation_app.views import asking, http, pages, pending, sign_in
from delegation_app.views.asking import Before
from delegation_app.views.pending import Seen

logger = logger_for("delegation_app")


@csrf_protect
@transaction.non_atomic_requests
def authorize(request: HttpRequest) -> HttpResponse:
    """Take a request by GET, and a person's answer by POST.

    What a form posts back is a handle; the request itself stays on the server.
    """
    try:
        http.require_https(request)
        if request.method == "GET":
            return _ask(request)
        if request.method == "POST":
            return _answer(request)
        return pages.wrong_method(request)
    except Exception as error:  # noqa: BLE001 - people get a page, whatever happened
        return _refusal(request, http.as_oauth_error(error, request))


def _ask(request: HttpRequest) -> HttpResponse:
    # RFC 6749 section 3.1: parameters that are not known are ignored
    parameters = http.read_query(request).only(authorization.PARAMETERS)
    proven = authorization.prove(parameters)
    try:
        return _ask_person(request, parameters, proven)
    except OAuthError as error:
        origin = http.origin_of(request)
        client_id = proven.client.client_id
        audit.record_refusal(error, origin, client_id=client_id, endpoint=request.path)
        raise
    except http.DATABASE_ERRORS:
        raise
    except Exception as error:
        # RFC 6749 section 4.1.2.1: server_error exists because a redirect can't carry a 500
        logger.exception("unexpected error %s", http.request_id_of(request))
        raise ServerError("Something went wrong.").redirected_to(proven.target) from error


def _ask_person(
    request: HttpRequest, parameters: Parameters, proven: authorization.Proven
) -> HttpResponse:
    person = sign_in.current(request)
    silent = "none" in parameters.all("prompt")
    # RFC 9700 section 4.11.2: nobody is redirected anywhere, not even with an error, before
    # somebody has signed in; prompt=none asks for just that
    if person is None and not silent:
        return sign_in.ask(request)
    asked, interaction = authorization.check(parameters, proven)
    if person is None or sign_in.is_due(request, person, interaction):
        if silent:
            raise LoginRequired("The person must sign in.").redirected_to(proven.target)
        return sign_in.ask(request)
    question = Question(asked, proven.client, person, new_secret())
    if not must_ask(question, interaction.prompts):
        code = consent.proceed(question, http.origin_of(request, person.subject))
        return pages.redirect(asked.target.carrying(code=code))
    if silent:
        raise ConsentRequired("The person must be asked.").redirected_to(proven.target)
    whole = "consent" in interaction.prompts
    # Who has answered and waits for an operator would only lengthen the queue
    if not whole and prior.waiting(question.asked) is not None:
        return _waiting_page(request, question, consent.awaiting(question))
    return _consent_page(request, question.looked_back(whole=whole), whole=whole)


def _consent_page(
    request: HttpRequest, question: Question, before: Before | None = None, *, whole: bool
) -> HttpResponse:
    text = compose(question.asked)
    seen = Seen.of(text, question.asked, whole=whole)
    context = {
        "handle": pending.keep(request, question.request, seen),
        **asking.shown(text, before),
    }
    target, status = question.request.target.uri, 200 if before is None else 400
    return pages.page(request, "consent.html", context, status=status, form_leads_to=target)


def _waiting_page(
    request: HttpRequest, question: Question, error: consent.AwaitsConfirmation
) -> HttpResponse:
    # RFC 6749 section 4.1.2.1: no redirect of its own, or the person would not read it
    context = {"app": app_name(question.asked), "back": _error_address(error)}
    return pages.page(request, "consent_waiting.html", context)


def _answer(request: HttpRequest) -> HttpResponse:
    parameters = http.read_form(request)
    handle, decision = parameters.require("handle"), parameters.require("decision")
    person = sign_in.current(request)
    if person is None:
        raise InvalidRequest("You are signed out. Start again in the app.")
    asked, seen = pending.peek(request, handle)
    question = Question(asked, authorization.prove_again(asked), person, handle)
    if decision not in {"allow", "deny"}:
        raise InvalidRequest("The decision must be allow or deny.")
    question = question.as_shown(held=Scope(seen.held.split()), known=Scope(seen.known.split()))
    try:
        response = _decide(request, question, parameters, seen)
    except OAuthError as error:
        pending.forget(request, handle)
        if not isinstance(error, AskAgain):
            origin = http.origin_of(request, person.subject)
            audit.record_refusal(error, origin, client_id=asked.client_id, endpoint=request.path)
            raise
        again, question = Before.of(parameters, error), question.looked_back(whole=seen.whole)
        return _consent_page(request, question, again, whole=seen.whole)
    pending.forget(request, handle)
    return response


def _decide(
    request: HttpRequest, question: Question, parameters: Parameters, seen: Seen
) -> HttpResponse:
    origin = http.origin_of(request, question.sign_in.subject)
    text = seen.again(question.asked)
    if parameters.get("decision") == "deny":
        consent.deny(question, origin, text=text)
    try:
        code = _allow(question, parameters, origin, text)
    except consent.AwaitsConfirmation as error:
        return _waiting_page(request, question, error)
    return pages.redirect(question.request.target.carrying(code=code))


def _allow(
    question: Question, parameters: Parameters, origin: audit.Origin, text: Text | None
) -> str:
    lifetime = times.chosen(question.client, parameters.get("lifetime"))
    # Nobody has agreed to words that were never shown
    if text is None:
        raise asking.changed()
    ticked = Scope(parameters.all("scopes"))
    return consent.allow(question, ticked, origin, lifetime=lifetime, text=text)


def _refusal(request: HttpRequest, error: OAuthError) -> HttpResponse:
    if error.redirect is None:
        return pages.error_page(request, error)
    return pages.redirect(_error_address(error))


def _error_address(error: OAuthError) -> str:
    if error.redirect is None:
        return ""
    return error.redirect.carrying(error=error.code, error_description=error.description)
