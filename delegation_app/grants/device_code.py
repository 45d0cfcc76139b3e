"""The device authorization grant (RFC 8628 section 3.4)."""

from __future__ import annotations

from delegation_app.grants.base import TokenRequest
from delegation_app.protocol import names
from delegation_app.services import device_poll
from delegation_app.services.tokens import Issued

TYPE = names.DEVICE_CODE
PARAMETERS = frozenset({"device_code", "resource", "scope"})


def handle(request: TokenRequest) -> Issued:
    """Poll, and redeem the code once a person has allowed it."""
    parameters = request.parameters
    wanted = device_poll.Poll(
        device_code=parameters.require("device_code"),
        resources=parameters.all("resource"),
        scope=parameters.get("scope"),
    )
    return device_poll.poll(wanted, request.client, request.origin)
