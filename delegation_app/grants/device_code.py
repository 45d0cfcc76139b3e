"""The device authorization grant (RFC 8628 section 3.4)."""

from __future__ import annotations

from delegation_app.grants.base import TokenRequest
from delegation_app.protocol import names
from delegation_app.services.tokens import device_codes
from delegation_app.services.tokens.issuing import Issued

TYPE = names.DEVICE_CODE
PARAMETERS = frozenset({"device_code", "resource", "scope"})


def handle(request: TokenRequest) -> Issued:
    """Poll, and redeem the code once a person has allowed it."""
    parameters = request.parameters
    wanted = device_codes.Poll(
        device_code=parameters.require("device_code"),
        resources=parameters.all("resource"),
        scope=parameters.get("scope"),
    )
    return device_codes.poll(wanted, request.client, request.origin)
