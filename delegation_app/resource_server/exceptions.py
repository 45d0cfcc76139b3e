"""How a resource server refuses: a JSON body, and a challenge that repeats its code (RFC 6750)."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from rest_framework.exceptions import APIException

from delegation_app.client import (
    ClientError,
    InvalidClientError,
    Refused,
    ServerFailed,
    UnsupportedGrantTypeError,
)
from delegation_app.protocol import errors
from delegation_app.protocol.scope import Scope
from delegation_app.resource_server.challenge import Challenge


class Refusal(APIException):
    """A request was refused because of its token.

    Args:
        error: what the protocol says to it.
        header: the value of WWW-Authenticate, which Django REST framework sends for `auth_header`.
    """

    def __init__(self, error: errors.OAuthError, header: str = "") -> None:
        super().__init__(error.payload(), code=error.code)
        self.auth_header = header


class MalformedRequest(Refusal):
    """The request is malformed, or carries a token in more than one way."""

    status_code = HTTPStatus.BAD_REQUEST


class TokenRefused(Refusal):
    """The token is unknown, expired, revoked, or for another resource server.

    No `AuthenticationFailed`: the framework would put the challenge of a request without a token
    in the place of this one.
    """

    status_code = HTTPStatus.UNAUTHORIZED


class LimitsExceeded(Refusal):
    """The token is good and does not permit this request: a constraint, or who acts."""

    status_code = HTTPStatus.FORBIDDEN


class Unavailable(Refusal):
    """Nobody can tell now whether the token is good; that is no reason to call it bad.

    Attributes:
        wait: seconds, sent as Retry-After.
    """

    status_code = HTTPStatus.SERVICE_UNAVAILABLE

    def __init__(self, error: errors.OAuthError, header: str = "") -> None:
        super().__init__(error, header)
        self.wait = error.retry_after


class InsufficientScope(APIException):
    """The token is good, and its scope does not reach this far.

    Args:
        required: all that this request needs, so that one more authorization is enough.
        provided: what the token has.
        challenge: who refuses.
    """

    status_code = HTTPStatus.FORBIDDEN
    default_code = errors.OutsideLimits.code

    def __init__(self, required: Scope, provided: Scope, challenge: Challenge) -> None:
        body = {
            "error": self.default_code,
            "required": list(required),
            "provided": list(provided),
        }
        super().__init__(body, code=self.default_code)
        # RFC 6750 section 3.1: the answer names the scope that is necessary
        self.auth_header = challenge.header(
            scope=required,
            error=self.default_code,
            description="The token does not have the scope for this.",
        )


_BY_CODE: Final[dict[type[errors.OAuthError], type[Refusal]]] = {
    errors.InvalidRequest: MalformedRequest,
    errors.InvalidToken: TokenRefused,
    errors.OutsideLimits: LimitsExceeded,
}


def refusal(error: errors.OAuthError, challenge: Challenge, scope: Scope = Scope()) -> Refusal:
    """Return the exception for what a verifier, or the reading of a request, says.

    Args:
        error: what went wrong. What is not the fault of the request is `Unavailable`.
        challenge: who refuses.
        scope: what the request needs; told where a better token would help.
    """
    kind = next((kind for of, kind in _BY_CODE.items() if isinstance(error, of)), Unavailable)
    if kind is Unavailable:
        return Unavailable(error)
    told = scope if kind is TokenRefused else Scope()
    header = challenge.header(scope=told, error=error.code, description=error.description)
    return kind(error, header)


class OnwardError(APIException):
    """There is no token for the next service.

    Args:
        reason: the error code (RFC 6749 section 5.2) and the sentence that the authorization server
            gave, if it gave any. Neither has a token.

    Attributes:
        code: the code, or nothing.
    """

    default_detail = "Another service could not be asked."

    def __init__(self, reason: Refused | None = None) -> None:
        self.code = "" if reason is None else reason.code
        body: dict[str, str | dict[str, str]] = {
            "error": self.default_code,
            "error_description": str(self.default_detail),
        }
        if reason is not None:
            told = {"error": reason.code, "error_description": reason.description}
            body["reason"] = {name: text for name, text in told.items() if text}
        super().__init__(body, code=self.default_code)


class ExchangeRefused(OnwardError):
    """The authority does not reach that far: whoever asked can't have this."""

    status_code = HTTPStatus.FORBIDDEN
    default_code = "exchange_refused"
    default_detail = "The authority of this request may not be passed on like that."


class ExchangeFailed(OnwardError):
    """Something is broken there, or in the settings here; the caller did nothing wrong."""

    status_code = HTTPStatus.BAD_GATEWAY
    default_code = "exchange_failed"


class ExchangeUnavailable(OnwardError):
    """The authorization server does not answer now.

    Attributes:
        wait: seconds, sent as Retry-After.
    """

    status_code = HTTPStatus.SERVICE_UNAVAILABLE
    default_code = errors.TemporarilyUnavailable.code
    wait = 2


def onward(error: ClientError) -> OnwardError:
    """Return the exception for an exchange that gave no token."""
    reason = error if isinstance(error, Refused) else None
    if error.temporary:
        unavailable = ExchangeUnavailable(reason)
        unavailable.wait = error.retry_after or unavailable.wait
        return unavailable
    if reason is None or isinstance(
        reason, InvalidClientError | ServerFailed | UnsupportedGrantTypeError
    ):
        return ExchangeFailed(reason)
    return ExchangeRefused(reason)
