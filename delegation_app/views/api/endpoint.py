"""What every address of both interfaces does alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from django.http import HttpRequest
from django.middleware.csrf import get_token
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import JSONParser
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.views import APIView

from delegation_app import http
from delegation_app.services.audit import RequestContext
from delegation_app.services.delegations.terms import SignIn
from delegation_app.views import sign_in
from delegation_app.views.api import errors, parsing
from delegation_app.views.api.authentication import (
    CHALLENGE,
    SIGNED_IN,
    HasDelegationPermission,
    SessionOnly,
)
from delegation_app.views.api.parsing import Shape
from delegation_app.views.standalone import standalone


@dataclass(frozen=True, slots=True)
class Operation:
    """What one method of an address does; what is read, what is answered and the schema say it.

    Attributes:
        name: its `operationId`, stable.
        summary: a sentence.
        answer: the shape of the answer.
        query, body: the shapes of what is sent; None if nothing may be.
        also: statuses beside those that every operation can have.
    """

    name: str
    summary: str
    answer: Shape
    query: Shape | None = None
    body: Shape | None = None
    also: tuple[int, ...] = ()


class JsonOnly(BaseContentNegotiation):
    """There is one representation, whatever a request would accept."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        """Return the only one."""
        del request
        return parsers[0]

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: str | None = None
    ) -> Any:
        """Return the only one."""
        del request, format_suffix
        return renderers[0], renderers[0].media_type


class ApiEndpoint(APIView):
    """An address. What the site has set for its own interfaces does not hold here, but throttling.

    Attributes:
        operations: by method; other methods are refused.
    """

    operations: ClassVar[Mapping[str, Operation]] = {}
    authentication_classes = (SessionOnly,)
    parser_classes = (JSONParser,)
    renderer_classes = (JSONRenderer,)
    content_negotiation_class = JsonOnly
    versioning_class = None
    metadata_class = None
    # For the framework's own schemas; `openapi` puts a better one here
    schema: Any = None
    http_method_names = ["get", "post"]

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Any:
        """Return the view; services own their transactions."""
        return standalone(sign_in.looked_at_now(super().as_view(**initkwargs)))

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Judge the request before anybody parses it, and then who sent it."""
        http.require_https(self.sent)
        if request.method == "POST":
            parsing.require_json(self.sent)
        super().initial(request, *args, **kwargs)
        if request.method == "GET":
            # So that there is a cookie to send back with a deed
            get_token(self.sent)

    def handle_exception(self, exc: Exception) -> Response:
        """Answer a refusal, whatever was raised."""
        error = errors.as_error(exc, self.sent)
        response = Response(error.payload(), status=error.status)
        http.with_error_headers(response, error)
        if isinstance(error, errors.NotSignedIn):
            # RFC 9110 section 15.5.2: a 401 says how to authenticate
            response["WWW-Authenticate"] = CHALLENGE
        response.exception = True
        return response

    def finalize_response(
        self, request: Request, response: Any, *args: Any, **kwargs: Any
    ) -> Response:
        """Mark every answer as nobody's to store, and name the request."""
        answer: Response = super().finalize_response(request, response, *args, **kwargs)
        http.never_stored(answer)
        answer["X-Request-Id"] = http.request_id_of(self.sent)
        return answer

    @property
    def sent(self) -> HttpRequest:
        """The request as Django has it."""
        found: Any = self.request
        sent: HttpRequest = getattr(found, "_request", found)
        return sent

    @property
    def operation(self) -> Operation:
        """What this request wants done."""
        return self.operations[self.request.method or ""]

    def given(self) -> dict[str, Any]:
        """Return what was sent, read by the shape that the operation names.

        Raises:
            InvalidRequest, ValidationError: see `reading`.
        """
        operation = self.operation
        found = parsing.from_query(self.sent, operation.query)
        if operation.body is not None:
            found |= parsing.from_body(self.sent, operation.body)
        return found

    def told(self, found: Any) -> Response:
        """Answer with something in the shape that the operation names."""
        shape: Serializer[Any] = self.operation.answer(found)
        return Response(shape.data)

    @property
    def person(self) -> SignIn:
        """Who is signed in; the permissions have seen to it that somebody is."""
        found = sign_in.current(self.sent)
        if found is None:
            raise errors.NotSignedIn("Sign in first.")
        return found

    @property
    def origin(self) -> RequestContext:
        """Who is signed in, as the actor, and from where."""
        return http.context_of(self.sent, self.person.subject)


class PersonEndpoint(ApiEndpoint):
    """For everybody who is signed in, and about their own connections only."""

    permission_classes = SIGNED_IN


class OperatorEndpoint(ApiEndpoint):
    """For staff.

    Attributes:
        needs: the permission for its deed, beside the one to look; empty if it only tells.
    """

    permission_classes = (HasDelegationPermission,)
    needs: ClassVar[str] = ""
