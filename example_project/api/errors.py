"""How the API refuses: a JSON body for the caller, and a challenge (RFC 6750 section 3)."""

from http import HTTPStatus
from typing import Any, Final

from rest_framework.exceptions import APIException

from delegation_app.protocol.scope import Scope

REALM: Final = "service-a"


def challenge(**attributes: str) -> str:
    """Return the value of `WWW-Authenticate`."""
    pairs = {"realm": REALM, **attributes}.items()
    return "Bearer " + ", ".join(f'{name}="{value}"' for name, value in pairs)


class Refusal(APIException):
    """An error whose challenge repeats its code (RFC 6750 section 3.1).

    Args:
        body: the members of the JSON answer beside `error`.
        attributes: those of the challenge beside `realm` and `error`.
    """

    def __init__(self, body: dict[str, Any], **attributes: str) -> None:
        super().__init__({"error": self.default_code, **body})
        # Django REST framework sends this as WWW-Authenticate, whatever the status.
        self.auth_header = challenge(error=self.default_code, **attributes)


class InvalidRequest(Refusal):
    """The request is malformed, or carries a token in more than one way."""

    status_code = HTTPStatus.BAD_REQUEST
    default_code = "invalid_request"

    def __init__(self, description: str) -> None:
        super().__init__({"error_description": description}, error_description=description)


class InvalidToken(Refusal):
    """The token is unknown, expired, revoked, or for another service."""

    status_code = HTTPStatus.UNAUTHORIZED
    default_code = "invalid_token"

    def __init__(self, description: str) -> None:
        super().__init__({"error_description": description}, error_description=description)


class InsufficientScope(Refusal):
    """The token is good, and does not reach this far."""

    status_code = HTTPStatus.FORBIDDEN
    default_code = "insufficient_scope"

    def __init__(self, required: Scope, provided: Scope) -> None:
        body = {"required": list(required), "provided": list(provided)}
        super().__init__(body, scope=str(required))


class Unavailable(APIException):
    """Nobody can tell now whether the token is good; that is no reason to call it bad."""

    status_code = HTTPStatus.SERVICE_UNAVAILABLE
    default_code = "temporarily_unavailable"
    # Sent as Retry-After
    wait: Final = 2

    def __init__(self) -> None:
        description = "Try again in a moment."
        super().__init__({"error": self.default_code, "error_description": description})
