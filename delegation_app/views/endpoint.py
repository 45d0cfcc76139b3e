"""The base class of all endpoints: a view of Django REST framework that names all its classes.

So the site's REST_FRAMEWORK settings have no effect, and a subclass can replace each class.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, ClassVar, Final

from django.core.serializers.json import DjangoJSONEncoder
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from rest_framework import exceptions
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.views import APIView

from delegation_app import http, primary
from delegation_app.protocol.errors import InvalidRequest, OAuthError, TooManyAttempts
from delegation_app.protocol.secrets import masked
from delegation_app.services.audit import RequestContext
from delegation_app.views.standalone import standalone

_JSON: Final = DjangoJSONEncoder()

# The protocol error for each exception of a framework
Refusals = Mapping[type[Exception], Callable[[Any], OAuthError]]


class WrongMethod(InvalidRequest):
    """The endpoint does not take this method (RFC 9110 section 15.5.6)."""

    status = HTTPStatus.METHOD_NOT_ALLOWED


class NotFound(OAuthError):
    """The record does not exist, or belongs to another user."""

    code = "not_found"
    status = HTTPStatus.NOT_FOUND


class NotPermitted(OAuthError):
    """The user may not do this."""

    code = "access_denied"
    status = HTTPStatus.FORBIDDEN


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of an endpoint, as its parsing, its response and the schema use it.

    Attributes:
        name: its `operationId`, stable.
        summary: in a sentence.
        answer: the serializer of the response; None for an empty one.
        query, body: the serializers of the request; None if there must be none.
        also: statuses besides the common ones.
        media_type: of the response.
    """

    name: str
    summary: str
    answer: Any
    query: type[Serializer[Any]] | None = None
    body: type[Serializer[Any]] | None = None
    also: tuple[int, ...] = ()
    media_type: str = "application/json"


class JsonRenderer(BaseRenderer):
    """JSON, always in the same form."""

    media_type = "application/json"
    format = "json"
    charset = None

    def render(self, data: Any, *_context: Any) -> bytes:
        return _JSON.encode(data).encode()


class SingleRepresentation(BaseContentNegotiation):
    """Only one representation, whatever a request accepts."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        return parsers[0]

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: str | None = None
    ) -> Any:
        return renderers[0], renderers[0].media_type


class Endpoint(APIView):
    """An endpoint of this app.

    Attributes:
        operations: by method, for the schema.
        statuses: the common error descriptions by status, for the schema.
        refusals: protocol errors for exceptions of Django and of the site's classes.
    """

    operations: ClassVar[Mapping[str, Operation]] = {}
    statuses: ClassVar[Mapping[int, str]] = {}
    refusals: ClassVar[Refusals] = {}
    authentication_classes: Any = ()
    permission_classes: Any = ()
    throttle_classes: Any = ()
    parser_classes: Any = ()
    renderer_classes: Any = (JsonRenderer,)
    content_negotiation_class: Any = SingleRepresentation
    versioning_class: Any = None
    metadata_class: Any = None
    # For the framework's own schemas; `openapi` replaces it
    schema: Any = None

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Any:
        """Return the view; services own their transactions."""
        return standalone(super().as_view(**initkwargs))

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        with primary.reading():
            return super().dispatch(request, *args, **kwargs)

    def perform_authentication(self, request: Request) -> None:
        # Without authentication, the framework would use the site's UNAUTHENTICATED_USER
        if self.authentication_classes:
            super().perform_authentication(request)

    @property
    def default_response_headers(self) -> dict[str, str]:
        # The framework would add Allow to every response
        return {}

    def get_exception_handler(self) -> Any:
        return exception_handler

    @property
    def context(self) -> RequestContext:
        """The context of the request."""
        return http.context_of(self.sent)

    @property
    def sent(self) -> HttpRequest:
        """The request as Django's HttpRequest."""
        found: Any = self.request
        sent: HttpRequest = getattr(found, "_request", found)
        return sent


def exception_handler(error: Exception, context: Mapping[str, Any]) -> Response:
    """Return any exception as the JSON of RFC 6749 section 5.2, and log its private detail.

    Args:
        error: the exception.
        context: from the framework, with the view.
    """
    view: Endpoint = context["view"]
    refusal = http.as_oauth_error(as_refusal(error, view.refusals), view.sent)
    response = Response(refusal.payload(), status=refusal.status)
    http.never_stored(response)
    http.with_error_headers(response, refusal)
    # RFC 9110 section 15.5.2: a 401 has a challenge
    if refusal.status == HTTPStatus.UNAUTHORIZED and view.authentication_classes:
        response["WWW-Authenticate"] = view.get_authenticate_header(view.request)
    if refusal.status == HTTPStatus.METHOD_NOT_ALLOWED:
        response["Allow"] = ", ".join(view.allowed_methods)
    return response


def as_refusal(error: Exception, refusals: Refusals) -> Exception:
    """Return the protocol error for an exception of a framework, or the exception itself."""
    for kind, refusal in (*refusals.items(), *_COMMON.items()):
        if isinstance(error, kind):
            return refusal(error)
    return error


def _throttled(error: exceptions.Throttled) -> OAuthError:
    wait = max(1, int(getattr(error, "wait", None) or 1))
    return TooManyAttempts("Too many requests. Wait a while.", retry_after=wait)


def _other(error: exceptions.APIException) -> Any:
    # From a class of the site, such as a throttle
    if error.status_code >= exceptions.APIException.status_code:
        return error
    return InvalidRequest("The request was refused.", detail=masked(str(error.detail))[:200])


_COMMON: Final[Refusals] = {
    exceptions.PermissionDenied: lambda _: NotPermitted("You may not do this."),
    Http404: lambda _: NotFound("There is no such address."),
    exceptions.Throttled: _throttled,
    exceptions.APIException: _other,
}
