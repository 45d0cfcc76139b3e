"""The authorization endpoint (RFC 6749 section 3.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from django.http import HttpRequest, HttpResponse

from delegation_app import http
from delegation_app.protocol.errors import ConsentRequired, LoginRequired, OAuthError, ServerError
from delegation_app.protocol.printable import logger_for
from delegation_app.protocol.requests.parameters import Parameters
from delegation_app.protocol.secrets import new_secret
from delegation_app.services import audit
from delegation_app.services.consent import authorize as consent_authorize
from delegation_app.services.consent import history, pending_requests, validation
from delegation_app.services.consent.history import ConsentQuestion, must_ask
from delegation_app.services.consent.pending_requests import Kind
from delegation_app.services.delegations.terms import SignIn
from delegation_app.views import csrf, pages, sign_in
from delegation_app.views.oauth import consent_answer, consent_page, consent_session
from delegation_app.views.standalone import standalone

logger = logger_for("delegation_app")

# A state of 2,048 letters, percent-encoded. A longer request travels through the login page.
_LONGEST_KEPT: Final = 8192


@dataclass(frozen=True, slots=True)
class Arrival:
    """A client's request, sent just now or kept since an earlier visit.

    Attributes:
        query: the request as it was sent.
        parameters: those that the endpoint knows.
        handle: under which it was kept; empty if it was sent just now.
        is_anonymous: whether it was kept for a user who had not signed in.
    """

    query: str
    parameters: Parameters
    handle: str = ""
    is_anonymous: bool = False

    @classmethod
    def of(cls, request: HttpRequest) -> Arrival:
        """Return the request that a GET brings or resumes.

        Raises:
            NoLonger: it resumes one that this browser does not have any more.
        """
        sent = http.read_query(request)
        # RFC 6749 section 3.1: parameters that are not known are ignored
        if consent_session.RESUME not in sent or "client_id" in sent:
            return cls(sign_in.unmarked(request), sent.only(validation.PARAMETERS))
        handle = sent.require(consent_session.RESUME)
        found = consent_session.find(request, handle, Kind.REQUEST, Kind.CONSENT)
        if found is None:
            raise pages.NoLonger(
                "This page is too old, or was opened in another browser. Start again in the app."
            )
        query = str(found.content["query"])
        parameters = Parameters.parse(query).only(validation.PARAMETERS)
        return cls(query, parameters, handle, not found.subject)


@sign_in.looked_at_now
@csrf.protected(consent_answer.forged)
@standalone
def authorize(request: HttpRequest) -> HttpResponse:
    """Take a request by GET, and a person's answer by POST.

    What a form posts back is a handle; the request itself stays on the server.
    """
    try:
        http.require_https(request)
        if request.method == "GET":
            response = _ask(request)
        elif request.method == "POST":
            response = consent_answer.answer(request)
        else:
            response = pages.wrong_method(request)
    except Exception as error:  # noqa: BLE001 - people get a page, whatever happened
        response = consent_page.refusal(request, http.as_oauth_error(error, request))
    return consent_session.with_cookie(request, response)


def _ask(request: HttpRequest) -> HttpResponse:
    arrival = Arrival.of(request)
    proven = validation.prove(arrival.parameters)
    try:
        return _ask_person(request, arrival, proven)
    except OAuthError as error:
        origin = http.context_of(request)
        client_id = proven.client.client_id
        audit.record_refusal(error, origin, client_id=client_id, endpoint=request.path)
        raise
    except http.DATABASE_ERRORS:
        raise
    except Exception as error:
        # RFC 6749 section 4.1.2.1: server_error exists because a redirect can't carry a 500
        logger.exception("unexpected error %s", http.request_id_of(request))
        raise ServerError("Something went wrong.").redirected_to(proven.target) from error


def _ask_person(request: HttpRequest, arrival: Arrival, proven: validation.Proven) -> HttpResponse:
    person = sign_in.current(request)
    silent = "none" in arrival.parameters.all("prompt")
    # RFC 9700 section 4.11.2: nobody is redirected anywhere, not even with an error, before
    # somebody has signed in; prompt=none asks for just that
    if person is None and not silent:
        return _to_sign_in(request, arrival, proven, None)
    asked, interaction = validation.check(arrival.parameters, proven)
    if person is None or (silent and sign_in.is_due(request, person, interaction)):
        raise LoginRequired("The person must sign in.").redirected_to(proven.target)
    if arrival.is_anonymous:
        pending_requests.claim(arrival.handle, person.subject)
    question = ConsentQuestion(asked, proven.client, person, new_secret())
    if sign_in.is_due(request, person, interaction):
        return _sign_in_again(request, arrival, proven, question)
    return _ask_or_proceed(request, arrival, question, interaction.prompts)


def _ask_or_proceed(
    request: HttpRequest, arrival: Arrival, question: ConsentQuestion, prompts: frozenset[str]
) -> HttpResponse:
    target = question.request.target
    if not must_ask(question, prompts):
        code = consent_authorize.proceed(
            question, http.context_of(request, question.sign_in.subject)
        )
        return pages.redirect(target.carrying(code=code))
    if "none" in prompts:
        raise ConsentRequired("The person must be asked.").redirected_to(target)
    whole = "consent" in prompts
    # Who has answered and waits for an operator would only lengthen the queue
    if not whole and history.waiting(question.asked) is not None:
        return consent_page.waiting_page(request, question, consent_authorize.awaiting(question))
    looked_back = question.looked_back(whole=whole)
    return consent_page.consent_page(request, looked_back, arrival.query, whole=whole)


def _sign_in_again(
    request: HttpRequest, arrival: Arrival, proven: validation.Proven, question: ConsentQuestion
) -> HttpResponse:
    # The login page has sent the user back as they were. Sending them there again may never end.
    if sign_in.prompted_at(request) is None:
        return _to_sign_in(request, arrival, proven, question.sign_in)
    handle = arrival.handle or _keep(request, arrival, proven, question.sign_in)
    error = LoginRequired("The user did not sign in again.").redirected_to(proven.target)
    back = consent_page.error_address(error)
    return consent_page.sign_in_page(request, question, handle or "", back)


def _to_sign_in(
    request: HttpRequest, arrival: Arrival, proven: validation.Proven, person: SignIn | None
) -> HttpResponse:
    handle = arrival.handle or _keep(request, arrival, proven, person)
    query = arrival.query if handle is None else consent_session.resuming(handle)
    return sign_in.ask_for(request, query)


def _keep(
    request: HttpRequest, arrival: Arrival, proven: validation.Proven, person: SignIn | None
) -> str | None:
    if len(arrival.query) > _LONGEST_KEPT:
        return None
    content = {"query": arrival.query}
    client_id = proven.client.client_id
    return consent_session.keep(request, Kind.REQUEST, content, client_id=client_id, person=person)
