"""The authorization endpoint (RFC 6749 section 3.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from django.http import HttpRequest, HttpResponse

from delegation_app import http
from delegation_app.protocol.errors import LoginRequired, OAuthError, ServerError
from delegation_app.protocol.printable import logger_for
from delegation_app.protocol.requests.parameters import Parameters
from delegation_app.services import audit
from delegation_app.services.consent import pending_requests, preparation, validation
from delegation_app.services.consent.pending_requests import Kind
from delegation_app.services.consent.request import ConsentRequest
from delegation_app.services.consent.validation import ValidatedClient
from delegation_app.services.delegations.terms import SignIn
from delegation_app.views import pages, sign_in
from delegation_app.views.oauth import consent_answer, consent_page, consent_session

logger = logger_for("delegation_app")

# A state of 2,048 characters, percent-encoded. A longer request is passed through the login page.
_MAX_KEPT: Final = 8192


@dataclass(frozen=True, slots=True)
class Arrival:
    """A client's request, new or kept since an earlier visit.

    Attributes:
        query: the query as received.
        parameters: the known ones.
        handle: of the kept request; empty for a new one.
        is_anonymous: whether it was kept for a user who had not signed in.
    """

    query: str
    parameters: Parameters
    handle: str = ""
    is_anonymous: bool = False

    @classmethod
    def of(cls, request: HttpRequest) -> Arrival:
        """Return the request of a GET, new or resumed.

        Raises:
            NoLonger: this browser no longer has the resumed request.
        """
        sent = http.read_query(request)
        # RFC 6749 section 3.1: unknown parameters are ignored
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


@consent_page.endpoint(
    post=consent_answer.answer, refusal=consent_page.refusal, forged=consent_answer.forged
)
def authorize(request: HttpRequest) -> HttpResponse:
    """Receive an authorization request by GET, and the user's decision by POST.

    A form posts only a handle; the request itself stays on the server.
    """
    arrival = Arrival.of(request)
    validated = validation.validate_client_and_redirect(arrival.parameters)
    try:
        return _respond(request, arrival, validated)
    except OAuthError as error:
        context, client_id = http.context_of(request), validated.client.client_id
        audit.record_refusal(error, context, client_id=client_id, endpoint=request.path)
        raise
    except http.DATABASE_ERRORS:
        raise
    except Exception as error:
        # RFC 6749 section 4.1.2.1: server_error exists because a redirect cannot carry a 500
        logger.exception("unexpected error %s", http.request_id_of(request))
        raise ServerError("Something went wrong.", redirect=validated.target) from error


def _respond(request: HttpRequest, arrival: Arrival, validated: ValidatedClient) -> HttpResponse:
    user = sign_in.current(request)
    # RFC 9700 section 4.11.2: no redirect to the client, not even with an error, before the user
    # has signed in. prompt=none is the exception.
    if user is None and "none" not in arrival.parameters.all("prompt"):
        return _to_sign_in(request, arrival, None)
    requested = validation.consent_request(arrival.parameters, validated, user)
    if arrival.is_anonymous:
        pending_requests.claim(arrival.handle, requested.sign_in.subject)
    if sign_in.is_due(request, requested):
        return _sign_in_again(request, arrival, requested)
    context = http.context_of(request, requested.sign_in.subject)
    return consent_page.respond(request, preparation.prepare(requested, context), arrival.query)


def _sign_in_again(
    request: HttpRequest, arrival: Arrival, requested: ConsentRequest
) -> HttpResponse:
    if "none" in requested.prompts:
        raise LoginRequired("The user must sign in.", redirect=requested.target)
    # The login page returned without a new sign-in. Another redirect could loop.
    if sign_in.prompted_at(request) is None:
        return _to_sign_in(request, arrival, requested.sign_in)
    handle = arrival.handle or _keep(request, arrival, requested.sign_in)
    error = LoginRequired("The user did not sign in again.", redirect=requested.target)
    back = consent_page.error_address(error)
    return consent_page.sign_in_page(request, requested, handle or "", back)


def _to_sign_in(request: HttpRequest, arrival: Arrival, user: SignIn | None) -> HttpResponse:
    handle = arrival.handle or _keep(request, arrival, user)
    query = arrival.query if handle is None else consent_session.resuming(handle)
    return sign_in.ask_for(request, query)


def _keep(request: HttpRequest, arrival: Arrival, user: SignIn | None) -> str | None:
    if len(arrival.query) > _MAX_KEPT:
        return None
    content, client_id = {"query": arrival.query}, arrival.parameters.require("client_id")
    return consent_session.keep(request, Kind.REQUEST, content, client_id=client_id, user=user)
