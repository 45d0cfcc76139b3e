"""How the API refuses: a JSON body for the caller, and a challenge (RFC 6750 section 3)."""

from http import HTTPStatus
from typing import Any, Final

from rest_framework.exceptions import APIException

from delegation_app.protocol.scope import Scope


def challenge(realm: str, **attributes: str) -> str:
    """Return the value of `WWW-Authenticate`."""
    pairs = {"realm": realm, **attributes}.items()
    return "Bearer " + ", ".join(f'{name}="{value}"' for name, value in pairs)


class Refusal(APIException):
    """An error whose challenge repeats its code (RFC 6750 section 3.1).

    Args:
        body: the members of the JSON answer beside `error`.
        attributes: those of the challenge beside `realm` and `error`.
    """

    def __init__(self, body: dict[str, Any], **attributes: str) -> None:
        super().__init__({"error": self.default_code, **body})
        self._attributes = attributes
        self.auth_header = ""

    def challenge_of(self, realm: str) -> None:
        """Say who refuses."""
        # Django REST framework sends this as WWW-Authenticate, whatever the status.
        self.auth_header = challenge(realm, error=self.default_code, **self._attributes)


class Described(Refusal):
    """A refusal that a sentence explains, in the body and in the challenge."""

    def __init__(self, description: str) -> None:
        super().__init__({"error_description": description}, error_description=description)


class InvalidRequest(Described):
    """The request is malformed, or carries a token in more than one way."""

    status_code = HTTPStatus.BAD_REQUEST
    default_code = "invalid_request"


class InvalidToken(Described):
    """The token is unknown, expired, revoked, or for another service."""

    status_code = HTTPStatus.UNAUTHORIZED
    default_code = "invalid_token"


class OutsideLimits(Described):
    """The token is good, and a constraint of its delegation does not permit this request."""

    status_code = HTTPStatus.FORBIDDEN
    default_code = "insufficient_scope"


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


class FurtherOn(APIException):
    """A service did not get from the next one what it needed for its own answer.

    Args:
        body: which hop it was and why; the same whoever passes it on.
    """

    def __init__(self, body: dict[str, Any]) -> None:
        super().__init__()
        # Set here, since the framework would make text of each value
        detail: Any = {"error": self.default_code, **body}
        self.detail = detail


class RefusedFurtherOn(FurtherOn):
    """The authority does not reach that far: whoever asked can't have this."""

    status_code = HTTPStatus.FORBIDDEN
    default_code = "refused_further_on"


class FailedFurtherOn(FurtherOn):
    """Something is broken there, or between there and here; the caller did nothing wrong."""

    status_code = HTTPStatus.BAD_GATEWAY
    default_code = "failed_further_on"
