"""Service A: two small resources, each behind a scope."""

import threading
import time
import uuid
from http import HTTPStatus
from typing import Any, ClassVar, Final, cast

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from delegation_app.protocol.scope import Scope
from delegation_app.services.local_verifier import VerifiedToken
from example_project.api.authentication import BearerAuthentication, Principal
from example_project.api.parsers import BoundedJSONParser
from example_project.api.permissions import HasScopes

STARTED: Final = time.monotonic()


class ProtectedView(APIView):
    """A view that answers tokens only. It needs no cookie, so there is none to forge."""

    authentication_classes = [BearerAuthentication]
    permission_classes = [HasScopes]
    parser_classes = [BoundedJSONParser]
    required_scopes: ClassVar[Scope]

    def finalize_response(
        self, request: Request, response: Response, *args: Any, **kwargs: Any
    ) -> Response:
        """Keep every answer out of shared caches (RFC 6750 section 5.3)."""
        answer = super().finalize_response(request, response, *args, **kwargs)
        answer.headers["Cache-Control"] = "no-store"
        return answer


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


def authority(request: Request) -> dict[str, Any]:
    """Return who acted for whom, by which record, and how far it reaches."""
    principal, token = cast("Principal", request.user), cast("VerifiedToken", request.auth)
    return {
        "subject": principal.subject,
        "client_id": principal.client_id,
        "delegation_id": principal.delegation_id,
        "scopes": list(token.scope),
    }
