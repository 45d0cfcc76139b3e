"""The metadata at its place at the root, for a site that mounts the endpoints elsewhere.

`path("", include("delegation_app.urls_well_known"))` in the root URLconf, beside
`path("auth/", include("delegation_app.urls"))`.
"""

from __future__ import annotations

from django.urls import path

from delegation_app.views.oauth.metadata import MetadataView

app_name = "delegation_app_well_known"

urlpatterns = [
    path(".well-known/oauth-authorization-server", MetadataView.as_view(), name="metadata"),
    # RFC 8414 section 3.1: the issuer's path comes after the well-known part
    path(
        ".well-known/oauth-authorization-server/<path:issuer_path>",
        MetadataView.as_view(schema=None),
        name="metadata-of",
    ),
]
