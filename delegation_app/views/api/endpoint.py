"""What every address of both interfaces does alike."""

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
    """An endpoint of either API. Of what the site has set for its own, its throttles hold here."""

    authentication_classes = (SessionOnly,)
    throttle_classes = APIView.throttle_classes
    parser_classes = (JSONParser,)
    refusals = errors.REFUSALS
    statuses = {
        400: "Malformed, or it would change nothing.",
        401: "No user is signed in.",
        403: "Not permitted, or the CSRF check failed.",
        429: "Too many requests; Retry-After says how long to wait.",
        500: "Something unexpected; it was logged.",
        503: (
            "The database does not answer. Nothing was done, unless the description says that this "
            "is not known. Retry-After says how long to wait."
        ),
    }
    http_method_names = ["get", "post"]

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Any:
        """Return the view, which reads the session's user from the primary database."""
        return sign_in.looked_at_now(super().as_view(**initkwargs))

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Judge the request before anybody parses it, and then who sent it."""
        http.require_https(self.sent)
        if request.method == "POST":
            parsing.require_json(self.sent)
        super().initial(request, *args, **kwargs)
        if request.method == "GET":
            # So that there is a cookie to send back with a deed
            get_token(self.sent)

    def finalize_response(
        self, request: Request, response: Any, *args: Any, **kwargs: Any
    ) -> Response:
        """Mark every answer as nobody's to store, and name the request."""
        answer: Response = super().finalize_response(request, response, *args, **kwargs)
        http.never_stored(answer)
        answer["X-Request-Id"] = http.request_id_of(self.sent)
        return answer

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
