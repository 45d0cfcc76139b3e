"""The base classes of the endpoints of both APIs."""

from __future__ import annotations

from typing import Any, ClassVar

from django.middleware.csrf import get_token
from rest_framework.parsers import JSONParser
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
    SIGNED_IN,
    HasDelegationPermission,
    SessionOnly,
)
from delegation_app.views.endpoint import Endpoint, Operation

__all__ = ["ApiEndpoint", "Operation", "OperatorEndpoint", "PersonEndpoint"]


class ApiEndpoint(Endpoint):
    """An endpoint of either API. The site's default throttles apply."""

    authentication_classes = (SessionOnly,)
    throttle_classes = APIView.throttle_classes
    parser_classes = (JSONParser,)
    refusals = errors.REFUSALS
    statuses = {
        400: "Malformed, or without effect.",
        401: "No user is signed in.",
        403: "Not permitted, or the CSRF check failed.",
        429: "Too many requests; Retry-After says how long to wait.",
        500: "An unexpected error; it was logged.",
        503: (
            "The database is unavailable. Nothing was changed, unless the description says that "
            "this is unknown. Retry-After says how long to wait."
        ),
    }
    http_method_names = ["get", "post"]

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Any:
        """Return the view, which reads the session and its user from the primary database."""
        return sign_in.looked_at_now(super().as_view(**initkwargs))

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Check scheme and content type before parsing, then authentication and permissions."""
        http.require_https(self.sent)
        if request.method == "POST":
            parsing.require_json(self.sent)
        super().initial(request, *args, **kwargs)
        if request.method == "GET":
            # Sets the CSRF cookie, which a later POST has to repeat
            get_token(self.sent)

    def finalize_response(
        self, request: Request, response: Any, *args: Any, **kwargs: Any
    ) -> Response:
        """Forbid caching, and add the request id."""
        answer: Response = super().finalize_response(request, response, *args, **kwargs)
        http.never_stored(answer)
        answer["X-Request-Id"] = http.request_id_of(self.sent)
        return answer

    @property
    def operation(self) -> Operation:
        """The operation of the request's method."""
        return self.operations[self.request.method or ""]

    def given(self) -> dict[str, Any]:
        """Return the parameters of the query and the members of the body, validated.

        Raises:
            InvalidRequest, ValidationError: see `parsing.from_query`.
        """
        operation = self.operation
        found = parsing.from_query(self.sent, operation.query)
        if operation.body is not None:
            found |= parsing.from_body(self.sent, operation.body)
        return found

    def told(self, found: Any) -> Response:
        """Return the response of the operation, serialized."""
        shape: Serializer[Any] = self.operation.answer(found)
        return Response(shape.data)

    @property
    def person(self) -> SignIn:
        """The signed-in user; the permissions require one."""
        found = sign_in.current(self.sent)
        if found is None:
            raise errors.NotSignedIn("Sign in first.")
        return found

    @property
    def origin(self) -> RequestContext:
        """The context of the request, with the user as the actor."""
        return http.context_of(self.sent, self.person.subject)


class PersonEndpoint(ApiEndpoint):
    """For signed-in users, about their own connections only."""

    permission_classes = SIGNED_IN


class OperatorEndpoint(ApiEndpoint):
    """For staff.

    Attributes:
        needs: the action that requires a permission of its own; empty for a view that only reads.
    """

    permission_classes = (HasDelegationPermission,)
    needs: ClassVar[str] = ""
