"""The base class of the endpoints for clients and resource servers."""

from __future__ import annotations

from typing import Any, ClassVar, Final, NoReturn

from django.http import HttpRequest, HttpResponse
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.response import Response

from delegation_app import http
from delegation_app.protocol.errors import (
    InvalidClient,
    InvalidRequest,
    OAuthError,
    TooManyAttempts,
    UnauthorizedClient,
)
from delegation_app.protocol.requests.parameters import Parameters
from delegation_app.services import audit
from delegation_app.services.clients.lookup import TARGETS
from delegation_app.services.clients.registered_client import RegisteredClient
from delegation_app.views.client_authentication import (
    ClientAuthentication,
    ClientRequest,
    FormParser,
)
from delegation_app.views.endpoint import Endpoint, Refusals, WrongMethod, as_refusal

_DAY: Final = "86400"
_DENIED: Final = "This client may not do this."


class ClientEndpoint(Endpoint):
    """POST only, form only, by an authenticated client; JSON errors, audited refusals.

    Attributes:
        relation: the resource servers to load with the client.
        parameters: the form.
        refusal: the error of a request that is invalid for any client; None if it is valid.
        context: of the request; the actor is the client, once authenticated.
        client: the client, once authenticated.
    """

    authentication_classes = (ClientAuthentication,)
    parser_classes = (FormParser,)
    http_method_names = ["post", "options"]
    refusals: ClassVar[Refusals] = {
        exceptions.NotAuthenticated: lambda _: InvalidClient("Client authentication failed."),
        exceptions.AuthenticationFailed: lambda _: InvalidClient("Client authentication failed."),
        exceptions.PermissionDenied: lambda _: UnauthorizedClient(_DENIED),
        # RFC 6749 section 3.2: the client MUST use POST
        exceptions.MethodNotAllowed: lambda _: WrongMethod("Use POST."),
    }
    statuses = {
        400: "Malformed, or refused; `error` says why (RFC 6749 section 5.2).",
        401: "Client authentication failed.",
        429: "Too many requests; Retry-After says how long to wait.",
        500: "An unexpected error; it was logged.",
        503: "The database is unavailable. Retry-After says how long to wait.",
    }
    relation: ClassVar[str] = TARGETS
    parameters = Parameters(())
    context = audit.RequestContext()
    refusal: OAuthError | None = None
    client: RegisteredClient
    request: ClientRequest
    _is_read = False

    def initialize_request(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Request:
        return ClientRequest(
            request,
            parsers=self.get_parsers(),
            authenticators=self.get_authenticators(),
            negotiator=self.get_content_negotiator(),
            parser_context=self.get_parser_context(request),
        )

    def initial(self, request: Any, *args: Any, **kwargs: Any) -> None:
        """Read the request, authenticate its client, and check permissions and throttles."""
        if request.method == "OPTIONS":
            return
        if request.method != "POST":
            self.http_method_not_allowed(request)
        http.require_https(self.sent)
        self.parameters = request.data
        self.refusal = _unusable(self.sent, self.parameters)
        self.context = request.context
        self._is_read = True
        super().initial(request, *args, **kwargs)

    def perform_authentication(self, request: Any) -> None:
        if self.refusal is not None and not self.authenticates_first():
            raise self.refusal
        try:
            super().perform_authentication(request)
        except InvalidRequest:
            # Without a client there is no replay to detect: the first error is returned
            if self.refusal is not None:
                raise self.refusal from None
            raise
        self.client = request.user.client
        self.context = self.context.acting_as(self.client.subject)
        if self.refusal is not None:
            raise self.refusal

    def authenticates_first(self) -> bool:
        """Whether to authenticate the client of an invalid request."""
        return False

    def permission_denied(
        self, request: Request, message: str | None = None, code: str | None = None
    ) -> NoReturn:
        raise UnauthorizedClient(message or _DENIED)

    def options(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        return HttpResponse(status=204)

    def handle_exception(self, exc: Exception) -> Response:
        error = as_refusal(exc, self.refusals)
        if self._is_read and isinstance(error, OAuthError):
            try:
                error = self.refused(error)
            except Exception as failure:  # noqa: BLE001 - the caller gets JSON, whatever happened
                error = failure
        return super().handle_exception(error)

    def refused(self, error: OAuthError) -> OAuthError:
        """Apply the side effects of a refusal, and return the error to send."""
        # Neither an unreadable nor a throttled request is recorded
        if error is not self.refusal and not isinstance(error, TooManyAttempts):
            self.record_refusal(error)
        return error

    def record_refusal(self, error: OAuthError) -> None:
        """Record the refusal, whatever error is sent; see `audit.record_refusal`."""
        audit.record_refusal(
            error,
            self.context,
            client_id=self.request.claimed_client_id,
            endpoint=self.sent.path,
            grant_type=next(iter(self.parameters.all("grant_type")), ""),
        )

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        answer = super().finalize_response(request, response, *args, **kwargs)
        http.never_stored(answer)
        # OAuth 2.1 section 3.2: browser-based clients call these; cookies are ignored
        answer["Access-Control-Allow-Origin"] = "*"
        answer["Access-Control-Allow-Methods"] = "POST"
        answer["Access-Control-Allow-Headers"] = "Authorization, Content-Type"
        answer["Access-Control-Max-Age"] = _DAY
        answer["X-Request-Id"] = http.request_id_of(self.sent)
        return answer


def _unusable(request: HttpRequest, parameters: Parameters) -> OAuthError | None:
    # RFC 9449: an unchecked proof would not bind the token to a key
    if "HTTP_DPOP" in request.META:
        return InvalidRequest("DPoP is not supported.")
    # RFC 6749 section 3.2: parameters must not be repeated
    return parameters.repeated()
