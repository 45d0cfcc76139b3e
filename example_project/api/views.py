"""What a service offers: small resources, each behind a scope."""

import threading
import time
import uuid
from http import HTTPStatus
from typing import Any, ClassVar, Final, cast

from django.core.exceptions import ImproperlyConfigured
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from delegation_app.protocol.scope import Scope
from delegation_app.resource_server.permissions import RequireScopes
from delegation_app.resource_server.principal import Principal
from example_project.api import downstream
from example_project.api.parsers import BoundedJSONParser
from example_project.api.services import Service

STARTED: Final = time.monotonic()


class ProtectedView(APIView):
    """A view that answers tokens only. It needs no cookie, so there is none to forge.

    Attributes:
        service: whose view it is.
        required_scopes: what a token must allow.
    """

    permission_classes = [RequireScopes()]
    parser_classes = [BoundedJSONParser]
    required_scopes: ClassVar[Scope]
    service: Service | None = None

    @property
    def at(self) -> Service:
        """The service that is asked.

        Raises:
            ImproperlyConfigured: the URLs do not say which.
        """
        if self.service is None:
            raise ImproperlyConfigured(f"{type(self).__name__} belongs to no service.")
        return self.service


class MetricsView(ProtectedView):
    """How this process is doing."""

    required_scopes = Scope(["read:metrics"])

    def get(self, request: Request) -> Response:
        """Return a few numbers."""
        metrics = {
            "uptime_seconds": round(time.monotonic() - STARTED, 3),
            "cpu_seconds": round(time.process_time(), 3),
            "threads": threading.active_count(),
        }
        return Response({"metrics": metrics, "authority": authority(request)})


class AlertSerializer(serializers.Serializer[dict[str, str]]):
    """What an alert says."""

    message = serializers.CharField(max_length=200, default="Look at this.")


class AlertsView(ProtectedView):
    """Alerts. They are answered and forgotten: this is an example."""

    required_scopes = Scope(["write:alerts"])

    def post(self, request: Request) -> Response:
        """Raise an alert."""
        alert = AlertSerializer(data=request.data)
        alert.is_valid(raise_exception=True)
        body = {"id": str(uuid.uuid4()), **alert.validated_data}
        return Response({"alert": body, "authority": authority(request)}, status=HTTPStatus.CREATED)


class ReportView(ProtectedView):
    """What this service says, and what the next one says when it is asked in the same name."""

    required_scopes = Scope(["read:metrics"])
    client_of: downstream.ClientOf | None = None

    def get(self, request: Request) -> Response:
        """Ask the next service, and answer for all of them."""
        further = downstream.report_of_next(self.at, request, self.required_scopes, self.client_of)
        answer = {
            "service": self.at.key,
            "uptime_seconds": round(time.monotonic() - STARTED, 3),
            "authority": authority(request),
            "next": further,
        }
        return Response(answer)


def authority(request: Request) -> dict[str, Any]:
    """Return who acted for whom, by which record, and how far it reaches.

    `actor` is who acts now, and None if the client itself was let in. `history` decides nothing:
    it tells through whose hands the authority came (RFC 8693 section 4.1).
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
