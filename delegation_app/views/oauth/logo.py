"""Logos of clients, uploaded by operators."""

from __future__ import annotations

from django.http import HttpResponse
from rest_framework.request import Request

from delegation_app.services.clients import logos
from delegation_app.views.endpoint import Operation
from delegation_app.views.public_document import PublicEndpoint


class LogoView(PublicEndpoint):
    """A logo, by the digest of its content."""

    operations = {
        "GET": Operation(
            "getLogo", "Return the logo of a client.", bytes, also=(404,), media_type="image/*"
        )
    }

    def get(self, request: Request, name: str) -> HttpResponse:
        found = logos.find(name)
        if found is None:
            return HttpResponse(status=404, content_type="text/plain")
        response = HttpResponse(bytes(found.data), content_type=found.content_type)
        response["ETag"] = f'"{found.digest[:32]}"'
        # The address is the digest: another image has another one
        response["Cache-Control"] = "public, max-age=31536000, immutable"
        # Whatever the content, a browser must not run it
        response["X-Content-Type-Options"] = "nosniff"
        response["Content-Security-Policy"] = "default-src 'none'; sandbox"
        response["Content-Disposition"] = "inline"
        return response
