"""The authorization code grant (RFC 6749 section 4.1.3)."""

from __future__ import annotations

from delegation_app.grants.base import TokenRequest
from delegation_app.protocol import names
from delegation_app.services.tokens import authorization_codes
from delegation_app.services.tokens.issuing import Issued

TYPE = names.AUTHORIZATION_CODE
PARAMETERS = frozenset({"code", "code_verifier", "redirect_uri", "resource", "scope"})


def handle(request: TokenRequest) -> Issued:
    """Redeem a code."""
    parameters = request.parameters
    redemption = authorization_codes.Redemption(
        code=parameters.require("code"),
        code_verifier=parameters.get("code_verifier"),
        redirect_uri=parameters.get("redirect_uri"),
        resources=parameters.all("resource"),
        scope=parameters.get("scope"),
    )
    return authorization_codes.redeem(redemption, request.client, request.origin)
