"""The client credentials grant (RFC 6749 section 4.4): a client acts for itself."""

from __future__ import annotations

from delegation_app.grants.base import TokenRequest
from delegation_app.protocol import names
from delegation_app.protocol.errors import UnauthorizedClient
from delegation_app.services.tokens import client_credentials
from delegation_app.services.tokens.issuing import Issued

TYPE = names.CLIENT_CREDENTIALS
PARAMETERS = frozenset({"scope", "resource"})


def handle(request: TokenRequest) -> Issued:
    """Issue on the client's standing delegation; there is no refresh token (section 4.4.3)."""
    client = request.client
    # RFC 6749 section 4.4: only confidential clients
    if not client.is_confidential:
        raise UnauthorizedClient("Public clients may not use this grant.")
    audience = client.audience(request.parameters.all("resource"))
    scope = client.scope(request.parameters.get("scope"), audience)
    return client_credentials.issue(client, scope, audience, request.origin)
