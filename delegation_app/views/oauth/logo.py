"""The pictures of clients, as operators have uploaded them."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from delegation_app.services.clients import logos
from delegation_app.views.public_document import public


@public
def logo(_request: HttpRequest, name: str) -> HttpResponse:
    """Answer with an image, by the digest of its bytes. Anybody may see it."""
    found = logos.find(name)
    if found is None:
        return HttpResponse(status=404, content_type="text/plain")
    response = HttpResponse(bytes(found.data), content_type=found.content_type)
    response["ETag"] = f'"{found.digest[:32]}"'
    # Another image has another address
    response["Cache-Control"] = "public, max-age=31536000, immutable"
    # Whatever stands in these bytes: it is an image, and alone it can do nothing
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response["Content-Disposition"] = "inline"
    return response
