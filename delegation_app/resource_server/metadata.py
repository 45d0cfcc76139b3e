"""Protected resource metadata (RFC 9728): where to obtain a token for this resource."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote, urlsplit

from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.utils.decorators import method_decorator
from django.views import View

from delegation_app.protocol.scope import Scope
from delegation_app.resource_server.challenge import metadata_suffix, metadata_url, offered
from delegation_app.resource_server.conf import conf


@method_decorator(login_not_required, name="dispatch")
class ProtectedResourceMetadata(View):
    """The metadata of one resource server: public, cacheable, and readable from any origin.

    Attributes:
        audience: its identifier; None for `audience`, `scopes` and `resource_name` of the settings.
        issuer: of its tokens; None for the issuer of the settings.
        scopes: the scopes that clients may request; may be empty.
        resource_name: the display name; may be empty.
    """

    http_method_names = ["get", "head", "options"]
    audience: str | None = None
    issuer: str | None = None
    scopes: tuple[str, ...] = ()
    resource_name: str | None = None

    def get(self, request: HttpRequest, suffix: str = "") -> HttpResponse:
        """Return the document.

        Args:
            request: the request.
            suffix: the part of the URL after the well-known path.

        Raises:
            Http404: the URL belongs to another identifier.
        """
        identifier = conf.audience if self.audience is None else self.audience
        path = f"/{suffix}" if suffix else ""
        # RFC 9728 section 3.3: the document belongs to the identifier in the URL
        if not metadata_url(identifier) or path != unquote(metadata_suffix(identifier)):
            raise Http404
        query = urlsplit(identifier).query
        if query and query != request.META.get("QUERY_STRING", ""):
            raise Http404
        response = JsonResponse(self._document(identifier))
        response["Cache-Control"] = f"public, max-age={conf.metadata_max_age}"
        return response

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Respond, and allow any origin: the document is public."""
        response = super().dispatch(request, *args, **kwargs)
        response["Access-Control-Allow-Origin"] = "*"
        if request.method == "OPTIONS":
            response["Access-Control-Allow-Methods"] = "GET, HEAD"
            response["Access-Control-Allow-Headers"] = "*"
        return response

    def _document(self, identifier: str) -> dict[str, Any]:
        ours = self.audience is None
        document = {
            "resource": identifier,
            "authorization_servers": [self.issuer or conf.issuer],
            "bearer_methods_supported": ["header"],
            "scopes_supported": list(offered(Scope(conf.scopes if ours else self.scopes))),
            "resource_name": conf.resource_name if ours else self.resource_name,
        }
        # RFC 9728 section 2: members without a value are left out
        return {name: value for name, value in document.items() if value}
