"""What the endpoints that clients and services call have in common."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Final

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from delegation_app import http, primary
from delegation_app.protocol.errors import InvalidRequest, OAuthError, TooManyAttempts
from delegation_app.protocol.requests.client_auth import read_credentials
from delegation_app.protocol.requests.parameters import Parameters
from delegation_app.services import audit
from delegation_app.services.clients.authentication import authenticate
from delegation_app.services.clients.lookup import TARGETS, RegisteredClient
from delegation_app.views.standalone import standalone

_DAY: Final = "86400"


class ClientRequest:
    """One request to a back-channel endpoint, read and not yet judged.

    Attributes:
        parameters: the form.
        refusal: why it cannot be served, whoever sends it; None if it can.
        origin: where it comes from; the actor is the client once that is authenticated.
        client_id: the client that it claims to be, for the audit trail.
    """

    def __init__(self, request: HttpRequest) -> None:
        http.require_https(request)
        self.parameters: Parameters = http.read_form(request)
        self.refusal = _unusable(request, self.parameters)
        self.origin = http.context_of(request)
        self.client_id = ""
        self._endpoint = request.path
        self._authorization: str | None = request.META.get("HTTP_AUTHORIZATION")

    def authenticated_client(self, relation: str = TARGETS) -> RegisteredClient:
        """Authenticate the client that sent this, unless it cannot be served anyway.

        Raises:
            InvalidRequest: `refusal`, or it claims to be two.
            InvalidClient, TooManyAttempts: see `authenticate`.
        """
        if self.refusal is not None:
            raise self.refusal
        return self.authenticate(relation)

    def authenticate(self, relation: str = TARGETS) -> RegisteredClient:
        """Authenticate the client that sent this; the caller looks at `refusal` afterwards.

        Raises:
            InvalidClient: it is not who it claims to be.
            InvalidRequest: it claims to be two.
            TooManyAttempts: it failed too often.
        """
        try:
            credentials = read_credentials(self._authorization, self.parameters)
        except InvalidRequest:
            # No client is claimed, so nothing can be replayed: what was wrong before is the answer
            if self.refusal is not None:
                raise self.refusal from None
            raise
        self.client_id = credentials.client_id
        origin = self.origin
        client = authenticate(credentials, ip=origin.ip, via=origin.via, relation=relation)
        self.origin = self.origin.acting_as(client.subject)
        return client

    def record_refusal(self, error: OAuthError) -> None:
        """Record that this was refused, whatever the answer says; see `audit.record_refusal`."""
        audit.record_refusal(
            error,
            self.origin,
            client_id=self.client_id,
            endpoint=self._endpoint,
            grant_type=next(iter(self.parameters.all("grant_type")), ""),
        )


def _unusable(request: HttpRequest, parameters: Parameters) -> OAuthError | None:
    # RFC 9449: a proof that is not looked at would be a promise that is not kept
    if "HTTP_DPOP" in request.META:
        return InvalidRequest("DPoP is not supported.")
    # RFC 6749 section 3.2: a parameter stands at most once
    return parameters.repeated()


def client_endpoint(
    handler: Callable[[ClientRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Make a view of a handler: POST only, form only, JSON errors, audited refusals."""

    @csrf_exempt
    @standalone
    @primary.reading()
    @functools.wraps(handler)
    def view(request: HttpRequest) -> HttpResponse:
        if request.method == "OPTIONS":
            response = HttpResponse(status=204)
        elif request.method != "POST":
            response = _wrong_method()
        else:
            response = _handled(handler, request)
        _allow_scripts(response)
        response["X-Request-Id"] = http.request_id_of(request)
        return response

    return view


def _handled(
    handler: Callable[[ClientRequest], HttpResponse], request: HttpRequest
) -> HttpResponse:
    try:
        call = ClientRequest(request)
        try:
            return handler(call)
        except OAuthError as error:
            # What could not even be read, or is throttled, leaves nothing behind.
            if error is not call.refusal and not isinstance(error, TooManyAttempts):
                call.record_refusal(error)
            raise
    except Exception as error:  # noqa: BLE001 - the caller gets JSON, whatever happened
        return _refusal(http.as_oauth_error(error, request))


def _refusal(error: OAuthError) -> HttpResponse:
    response = http.json_answer(error.payload(), status=error.status)
    http.with_error_headers(response, error)
    return response


def _wrong_method() -> HttpResponse:
    # RFC 6749 section 3.2: the client MUST use POST
    body = InvalidRequest("Use POST.").payload()
    response = http.json_answer(body, status=405)
    response["Allow"] = "POST, OPTIONS"
    return response


def _allow_scripts(response: HttpResponse) -> None:
    # OAuth 2.1 section 3.2: browser-based clients call these; no cookie is looked at
    response["Access-Control-Allow-Origin"] = "*"
    response["Access-Control-Allow-Methods"] = "POST"
    response["Access-Control-Allow-Headers"] = "Authorization, Content-Type"
    response["Access-Control-Max-Age"] = _DAY
