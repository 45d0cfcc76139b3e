"""The authorization endpoint (RFC 6749 section 3.1)."""

from __future__ import annotations

import logging

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
from delegation_app.protocol.scope import Scope
from delegation_app.protocol.secrets import new_secret
from delegation_app.services import audit, authorization, consent
from delegation_app.services.question import Question, chosen_lifetime, must_ask
from delegation_app.views import asking, http, pages, pending, sign_in

logger = logging.getLogger("delegation_app")


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
    return _consent_page(request, question)


def _consent_page(request: HttpRequest, question: Question) -> HttpResponse:
    asked = question.asked
    context = {
        "handle": pending.keep(request, question.request),
        "redirect_host": asked.leads_to,
        **asking.shown(asked),
    }
    target = question.request.target.uri
    return pages.page(request, "consent.html", context, form_leads_to=target)


def _answer(request: HttpRequest) -> HttpResponse:
    parameters = http.read_form(request)
    handle, decision = parameters.require("handle"), parameters.require("decision")
    person = sign_in.current(request)
    if person is None:
        raise InvalidRequest("You are signed out. Start again in the app.")
    asked = pending.peek(request, handle)
    client = authorization.prove_again(asked)
    if decision not in {"allow", "deny"}:
        raise InvalidRequest("The decision must be allow or deny.")
    question = Question(asked, client, person, handle)
    origin = http.origin_of(request, person.subject)
    try:
        if decision == "deny":
            consent.deny(question, origin)
        lifetime = chosen_lifetime(client, parameters.get("lifetime"))
        code = consent.allow(question, Scope(parameters.all("scopes")), origin, lifetime=lifetime)
    except OAuthError as error:
        pending.forget(request, handle)
        audit.record_refusal(error, origin, client_id=asked.client_id, endpoint=request.path)
        raise
    pending.forget(request, handle)
    return pages.redirect(asked.target.carrying(code=code))


def _refusal(request: HttpRequest, error: OAuthError) -> HttpResponse:
    if error.redirect is None:
        return pages.error_page(request, error)
    return pages.redirect(
        error.redirect.carrying(error=error.code, error_description=error.description)
    )
