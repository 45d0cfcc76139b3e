"""The metadata of a protected resource (RFC 9728): where to get a token for it."""

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
    """Answers with the metadata of one resource server. Public, cacheable, for any origin.

    Attributes:
        audience: its identifier. If left out, it, `scopes` and `resource_name` are those of the
            settings.
        issuer: of its tokens; that of the settings if left out.
        scopes: what clients may ask for; may be empty.
        resource_name: for people; may be empty.
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
            suffix: what stands in the URL after the well-known part.

        Raises:
            Http404: the URL was built from another identifier.
        """
        identifier = conf.audience if self.audience is None else self.audience
        path = f"/{suffix}" if suffix else ""
        # RFC 9728 section 3.3: the document is for the identifier that the URL was built from
        if not metadata_url(identifier) or path != unquote(metadata_suffix(identifier)):
            raise Http404
        query = urlsplit(identifier).query
        if query and query != request.META.get("QUERY_STRING", ""):
            raise Http404
        answer = JsonResponse(self._document(identifier))
        answer["Cache-Control"] = f"public, max-age={conf.metadata_max_age}"
        return answer

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Answer, also to scripts of other sites: nothing in here is secret."""
        answer = super().dispatch(request, *args, **kwargs)
        answer["Access-Control-Allow-Origin"] = "*"
        if request.method == "OPTIONS":
            answer["Access-Control-Allow-Methods"] = "GET, HEAD"
            answer["Access-Control-Allow-Headers"] = "*"
        return answer

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
