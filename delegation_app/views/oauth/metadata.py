"""The authorization server's metadata (RFC 8414)."""

from __future__ import annotations

from typing import Any

from django.http import Http404
from rest_framework.request import Request
from rest_framework.response import Response

from delegation_app import grants, toolkit
from delegation_app.conf import conf
from delegation_app.endpoint_urls import endpoint
from delegation_app.protocol import names, pkce
from delegation_app.views.endpoint import Operation
from delegation_app.views.public_document import PublicEndpoint, document


class MetadataView(PublicEndpoint):
    """The metadata of this issuer."""

    operations = {"GET": Operation("getServerMetadata", "Return the metadata of the issuer.", dict)}

    def get(self, request: Request, issuer_path: str = "") -> Response:
        # RFC 8414 section 3.3: only at the URL of this issuer
        if issuer_path.strip("/") not in {"", conf.issuer_path}:
            raise Http404
        return document(self.members(), int(conf.jwks_max_age.total_seconds()))

    def members(self) -> dict[str, Any]:
        """Return the members. A subclass can add others."""
        # RFC 8414 section 3.2: members without a value are left out
        return {name: value for name, value in _members().items() if value != []}


def _members() -> dict[str, Any]:
    methods = [names.BASIC, names.POST]
    return {
        "issuer": conf.issuer,
        "authorization_endpoint": endpoint("authorize"),
        "token_endpoint": endpoint("token"),
        # RFC 8628 section 4
        "device_authorization_endpoint": endpoint("device_authorization"),
        "jwks_uri": endpoint("jwks"),
        "revocation_endpoint": endpoint("revoke"),
        "introspection_endpoint": endpoint("introspect"),
        # draft-ietf-oauth-status-list-20 section 9.1
        "status_list_aggregation_endpoint": endpoint("status-lists"),
        "scopes_supported": sorted(toolkit.all_scopes()),
        "response_types_supported": ["code"],
        # RFC 8414 section 2: the defaults would announce the implicit grant and fragments
        "response_modes_supported": ["query"],
        "grant_types_supported": list(grants.REGISTRY),
        "token_endpoint_auth_methods_supported": [*methods, names.NONE],
        "revocation_endpoint_auth_methods_supported": [*methods, names.NONE],
        "introspection_endpoint_auth_methods_supported": methods,
        "code_challenge_methods_supported": [pkce.METHOD],
        # RFC 9207 section 3
        "authorization_response_iss_parameter_supported": True,
    }
