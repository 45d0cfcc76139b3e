"""The OpenAPI schema. Only this module imports drf-spectacular, the extra [openapi]."""

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
from delegation_app.services.clients.lookup import INTROSPECTS
from delegation_app.views.api import parsing
from delegation_app.views.api.endpoint import ApiEndpoint, OperatorEndpoint, PersonEndpoint
from delegation_app.views.api.serializers import DelegationError
from delegation_app.views.endpoint import Endpoint, Operation
from delegation_app.views.page_view import PageView

_ALSO: Final = {
    404: "It does not exist, or belongs to another user.",
    406: "No acceptable representation.",
    409: "Request a preview first.",
    410: "All tokens of this list have expired.",
    501: "Historical status is not supported.",
}
_NAMES: Final = ("delegationSession", "delegationCsrf")


class Described(AutoSchema):
    """The OpenAPI description of an endpoint, from its operations."""

    view: Any

    def is_excluded(self) -> bool:
        return self.method not in self.view.operations

    def get_operation_id(self) -> str:
        return self._operation.name

    def get_summary(self) -> str | None:
        return self._operation.summary

    def get_description(self) -> str:  # type: ignore[override]  # as its own base has it
        text = (type(self.view).__doc__ or "").partition("Attributes:")[0].strip()
        return text.partition("\n")[2].strip().replace("\n    ", "\n")

    def get_tags(self) -> list[str]:
        if not isinstance(self.view, ApiEndpoint):
            return ["oauth"]
        return ["connections" if isinstance(self.view, PersonEndpoint) else "delegations"]

    def get_override_parameters(self) -> list[Any]:
        return [] if self._operation.query is None else [self._operation.query]

    def get_request_serializer(self) -> Any:
        return self._operation.body

    def get_response_serializers(self) -> Any:
        operation = self._operation
        statuses = {**self.view.statuses, **{status: _ALSO[status] for status in operation.also}}
        if isinstance(self.view, ApiEndpoint) and operation.body is not None:
            statuses[415] = "The body is not JSON."
        error = None if isinstance(self.view, PageView) else DelegationError
        answers: dict[Any, Any] = {
            (200, operation.media_type): operation.answer
            or OpenApiResponse(None, description="Done.")
        }
        return answers | {
            status: OpenApiResponse(error, description=statuses[status])
            for status in sorted(statuses)
        }

    @property
    def _operation(self) -> Operation:
        found: Operation = self.view.operations[self.method]
        return found


class _Sessions(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # registers itself
    """The session cookie, and for POST the CSRF token."""

    target_class = "delegation_app.views.api.authentication.SessionOnly"
    name = list(_NAMES)

    def get_security_requirement(self, auto_schema: Any) -> Any:
        return {name: [] for name in (_NAMES if auto_schema.method == "POST" else _NAMES[:1])}

    def get_security_definition(self, auto_schema: Any) -> Any:
        header = settings.CSRF_HEADER_NAME.removeprefix("HTTP_").replace("_", "-")
        return [
            {"type": "apiKey", "in": "cookie", "name": settings.SESSION_COOKIE_NAME},
            {"type": "apiKey", "in": "header", "name": header},
        ]


class _Clients(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # registers itself
    """The methods of RFC 6749 section 2.3; public clients send their `client_id` alone."""

    target_class = "delegation_app.views.client_authentication.ClientAuthentication"
    match_subclasses = True
    name = ["client_secret_basic", "client_secret_post"]

    def get_security_requirement(self, auto_schema: Any) -> Any:
        methods: list[dict[str, Any]] = [{name: []} for name in self.name]
        return methods if auto_schema.view.relation == INTROSPECTS else [*methods, {}]

    def get_security_definition(self, auto_schema: Any) -> Any:
        in_form = "Not an HTTP scheme: client_id and client_secret are form fields."
        return [
            {"type": "http", "scheme": "basic"},
            {"type": "http", "scheme": "client_secret_post", "description": in_form},
        ]


class _Schema(ApiEndpoint):
    """The schema of one API, for its users.

    Attributes:
        about: the base class of its endpoints.
        title: its title.
    """

    about: ClassVar[type[ApiEndpoint]]
    title: ClassVar[str]

    def get(self, request: Request) -> Response:
        parsing.from_query(self.sent, None)
        schema: dict[str, Any] = _generator(self.about)().get_schema(public=True)  # type: ignore[no-untyped-call]
        return Response({**schema, "info": {"title": self.title, "version": __version__}})


class ConnectionsSchema(_Schema, PersonEndpoint):
    """For all signed-in users."""

    about = PersonEndpoint
    title = "Connections: what apps may do for you"


class DelegationsSchema(_Schema, OperatorEndpoint):
    """For operators."""

    about = OperatorEndpoint
    title = "Delegations: authority granted to clients"


def _generator(about: type[ApiEndpoint]) -> type[SchemaGenerator]:
    class Ours(EndpointEnumerator):
        """The endpoints of one API, wherever the site mounts them."""

        def should_include_endpoint(self, path: str, callback: Any) -> bool:
            view: Any = getattr(callback, "cls", object)
            return issubclass(view, about) and bool(view.operations)

    class Generator(SchemaGenerator):
        endpoint_inspector_cls = Ours

    return Generator


Endpoint.schema = Described()
# The schema does not describe its own endpoint
_Schema.schema = None
