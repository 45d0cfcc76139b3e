"""The refresh token grant (RFC 6749 section 6)."""

from __future__ import annotations

from delegation_app.grants.base import TokenRequest
from delegation_app.protocol import names
from delegation_app.services.tokens import rotation
from delegation_app.services.tokens.issuing import Issued

TYPE = names.REFRESH_TOKEN
PARAMETERS = frozenset({"refresh_token", "scope", "resource"})


def handle(request: TokenRequest) -> Issued:
    """Rotate a refresh token."""
    parameters = request.parameters
    presentation = rotation.RefreshRequest(
        text=parameters.require("refresh_token"),
        scope=parameters.get("scope"),
        resources=parameters.all("resource"),
    )
    return rotation.rotate(presentation, request.client, request.origin)
