"""The resources of a service, each protected by a scope."""

import threading
import time
import uuid
from http import HTTPStatus
from typing import Any, ClassVar, Final, cast

from django.core.exceptions import ImproperlyConfigured
from rest_framework import serializers
from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from delegation_app.protocol.scope import Scope
from delegation_app.resource_server.permissions import RequireScopes
from delegation_app.resource_server.principal import Principal
from example_project.api import downstream
from example_project.api.services import Service

STARTED: Final = time.monotonic()


class BoundedJSONParser(JSONParser):
    """JSON; a body that is nested too deep for Python is refused."""

    def parse(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Return the parsed body.

        Raises:
            ParseError: it is not JSON, or nested too deep.
        """
        try:
            return super().parse(*args, **kwargs)
        except RecursionError as error:
            raise ParseError("The JSON is nested too deep.") from error


class ProtectedView(APIView):
    """A view that accepts tokens only: without cookies, there is no request to forge.

    Attributes:
        service: the service that it belongs to.
        required_scopes: what the token must have.
    """

    permission_classes = [RequireScopes()]
    parser_classes = [BoundedJSONParser]
    required_scopes: ClassVar[Scope]
    service: Service | None = None

    def own_service(self) -> Service:
        """Return the service of this view.

        Raises:
            ImproperlyConfigured: the URLs name none.
        """
        if self.service is None:
            raise ImproperlyConfigured(f"{type(self).__name__} belongs to no service.")
        return self.service


class MetricsView(ProtectedView):
    """Figures about the process."""

    required_scopes = Scope(["read:metrics"])

    def get(self, request: Request) -> Response:
        """Return uptime, CPU time and threads."""
        metrics = {
            "uptime_seconds": round(time.monotonic() - STARTED, 3),
            "cpu_seconds": round(time.process_time(), 3),
            "threads": threading.active_count(),
        }
        return Response({"metrics": metrics, "authority": authority(request)})


class AlertSerializer(serializers.Serializer[dict[str, str]]):
    """The body of an alert."""

    message = serializers.CharField(max_length=200, default="Look at this.")


class AlertsView(ProtectedView):
    """Alerts. This example does not store them."""

    required_scopes = Scope(["write:alerts"])

    def post(self, request: Request) -> Response:
        """Raise an alert."""
        alert = AlertSerializer(data=request.data)
        alert.is_valid(raise_exception=True)
        body = {"id": str(uuid.uuid4()), **alert.validated_data}
        return Response({"alert": body, "authority": authority(request)}, status=HTTPStatus.CREATED)


class ReportView(ProtectedView):
    """The report of this service and of those that it calls on behalf of the same user."""

    required_scopes = Scope(["read:metrics"])
    client_of: downstream.ClientOf | None = None

    def get(self, request: Request) -> Response:
        """Return the report."""
        service = self.own_service()
        scope = self.required_scopes
        answer = {
            "service": service.key,
            "uptime_seconds": round(time.monotonic() - STARTED, 3),
            "authority": authority(request),
            "next": downstream.report_of_next(service, request, scope, self.client_of),
        }
        return Response(answer)


def authority(request: Request) -> dict[str, Any]:
    """Return who acts for whom, by which delegation, and with which scopes.

    `actor` is the current actor, or None if the client acts directly. `history` has the earlier
    actors, and must not decide anything (RFC 8693 section 4.1).
    """
    principal = cast("Principal", request.user)
    return {
        "subject": principal.subject,
        "client_id": principal.client_id,
        "actor": principal.actor,
        "history": list(principal.actors[1:]),
        "delegation_id": principal.delegation_id,
        "scopes": list(principal.scope),
    }
