"""The URL of the metadata: `path("", include("delegation_app.resource_server.urls"))`."""

from __future__ import annotations

from typing import Final

from django.urls import path

from delegation_app.resource_server.challenge import WELL_KNOWN
from delegation_app.resource_server.metadata import ProtectedResourceMetadata

app_name = "delegation_resource_server"

_PATH: Final = WELL_KNOWN.lstrip("/")
_document = ProtectedResourceMetadata.as_view()

urlpatterns = [
    path(_PATH, _document, name="metadata"),
    # RFC 9728 section 3.1: the path of the resource comes after the well-known part
    path(f"{_PATH}/<path:suffix>", _document, name="metadata-of"),
]
