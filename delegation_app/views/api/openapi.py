"""The schema of both interfaces. Only this module imports drf-spectacular, the extra [openapi]."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from django.conf import settings
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.generators import EndpointEnumerator, SchemaGenerator
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiResponse
from rest_framework.request import Request
from rest_framework.response import Response

from delegation_app import __version__
from delegation_app.views.api import parsing
from delegation_app.views.api.endpoint import (
    ApiEndpoint,
    Operation,
    OperatorEndpoint,
    PersonEndpoint,
)
from delegation_app.views.api.serializers import DelegationError

# Every operation can be refused like that
_ALWAYS: Final = (400, 401, 403, 429, 500, 503)
_SAID: Final = {
    400: "Malformed, or it would change nothing.",
    401: "No user is signed in.",
    403: "Not permitted, or the CSRF check failed.",
    404: "It does not exist, or belongs to another user.",
    409: "Ask for a preview first.",
    415: "The body is no JSON.",
    429: "Too many requests; Retry-After says how long to wait.",
    500: "Something unexpected; it was logged.",
    503: (
        "The database does not answer. Nothing was done, unless the description says that this is "
        "not known. Retry-After says how long to wait."
    ),
}
_NAMES: Final = ("delegationSession", "delegationCsrf")


class Described(AutoSchema):
    """What the operations of our addresses say of themselves."""

    view: Any

    def get_operation_id(self) -> str:
        """Return the stable name."""
        return self._operation.name

    def get_summary(self) -> str | None:
        """Return the sentence."""
        return self._operation.summary

    def get_description(self) -> str:  # type: ignore[override]  # as its own base has it
        """Return what the class says where that is more than one line."""
        text = (type(self.view).__doc__ or "").strip()
        return text.partition("\n")[2].strip().replace("\n    ", "\n")

    def get_tags(self) -> list[str]:
        """Group them by whom they are for."""
        return ["connections" if isinstance(self.view, PersonEndpoint) else "delegations"]

    def get_override_parameters(self) -> list[Any]:
        """Return the query."""
        return [] if self._operation.query is None else [self._operation.query]

    def get_request_serializer(self) -> Any:
        """Return the body."""
        return self._operation.body

    def get_response_serializers(self) -> Any:
        """Return the answer, and all refusals."""
        operation = self._operation
        refusals = {*_ALWAYS, *operation.also, *(() if operation.body is None else (415,))}
        told: dict[int, Any] = {200: operation.answer}
        return told | {
            status: OpenApiResponse(DelegationError, description=_SAID[status])
            for status in sorted(refusals)
        }

    @property
    def _operation(self) -> Operation:
        found: Operation = self.view.operations[self.method]
        return found


class _Sessions(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # registers itself
    """The session's cookie, and for deeds the CSRF token beside it."""

    target_class = "delegation_app.views.api.authentication.SessionOnly"
    name = list(_NAMES)

    def get_security_requirement(self, auto_schema: Any) -> Any:
        """Return what a request has to bring, all of it together."""
        return {name: [] for name in (_NAMES if auto_schema.method == "POST" else _NAMES[:1])}

    def get_security_definition(self, auto_schema: Any) -> Any:
        """Return where either stands."""
        del auto_schema
        header = settings.CSRF_HEADER_NAME.removeprefix("HTTP_").replace("_", "-")
        return [
            {"type": "apiKey", "in": "cookie", "name": settings.SESSION_COOKIE_NAME},
            {"type": "apiKey", "in": "header", "name": header},
        ]


class _Schema(ApiEndpoint):
    """The schema of one interface, for those who may use that.

    Attributes:
        about: the class of its addresses.
        title: what it is called.
    """

    about: ClassVar[type[ApiEndpoint]]
    title: ClassVar[str]

    def get(self, request: Request) -> Response:
        """Answer the schema."""
        del request
        parsing.from_query(self.sent, None)
        schema: dict[str, Any] = _generator(self.about)().get_schema(public=True)  # type: ignore[no-untyped-call]
        return Response({**schema, "info": {"title": self.title, "version": __version__}})


class ConnectionsSchema(_Schema, PersonEndpoint):
    """For everybody who is signed in."""

    about = PersonEndpoint
    title = "Connections: what apps may do for you"


class DelegationsSchema(_Schema, OperatorEndpoint):
    """For operators."""

    about = OperatorEndpoint
    title = "Delegations: who lets whom do what"


def _generator(about: type[ApiEndpoint]) -> type[SchemaGenerator]:
    class Ours(EndpointEnumerator):
        """The addresses of one interface, wherever the site has them."""

        def should_include_endpoint(self, path: str, callback: Any) -> bool:
            """Tell whether it is one of those."""
            del path
            return issubclass(getattr(callback, "cls", object), about) and bool(
                callback.cls.operations
            )

    class Generator(SchemaGenerator):
        """Looks at those only."""

        endpoint_inspector_cls = Ours

    return Generator


ApiEndpoint.schema = Described()
# Theirs is no part of what they tell
_Schema.schema = None
