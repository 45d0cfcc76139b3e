"""The refusals of a resource server: a JSON body, and a challenge with its code (RFC 6750)."""

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
    """A request is refused because of its token.

    Args:
        error: the error of the protocol.
        header: the value of WWW-Authenticate, which Django REST framework reads from `auth_header`.
    """

    def __init__(self, error: errors.OAuthError, header: str = "") -> None:
        super().__init__(error.payload(), code=error.code)
        self.auth_header = header


class MalformedRequest(Refusal):
    """The request is malformed, or has two tokens."""

    status_code = HTTPStatus.BAD_REQUEST


class TokenRefused(Refusal):
    """The token is unknown, expired, revoked, or for another resource server.

    Not an `AuthenticationFailed`, for which the framework would send the challenge of a request
    without a token.
    """

    status_code = HTTPStatus.UNAUTHORIZED


class LimitsExceeded(Refusal):
    """The token is valid, but its constraints or its actor do not permit this request."""

    status_code = HTTPStatus.FORBIDDEN


class Unavailable(Refusal):
    """The validity of the token is unknown at the moment.

    Attributes:
        wait: seconds, sent as Retry-After.
    """

    status_code = HTTPStatus.SERVICE_UNAVAILABLE

    def __init__(self, error: errors.OAuthError, header: str = "") -> None:
        super().__init__(error, header)
        self.wait = error.retry_after


class InsufficientScope(APIException):
    """The token is valid, but its scope does not cover this request.

    Args:
        required: everything that this request requires, so that one new authorization is enough.
        provided: the scope of the token.
        challenge: of the resource server.
    """

    status_code = HTTPStatus.FORBIDDEN
    default_code = errors.OutsideLimits.code

    def __init__(self, required: Scope, provided: Scope, challenge: Challenge) -> None:
        body = {"error": self.default_code, "required": list(required), "provided": list(provided)}
        super().__init__(body, code=self.default_code)
        # RFC 6750 section 3.1: the response names the necessary scope
        self.auth_header = challenge.header(
            scope=required,
            error=self.default_code,
            description="The scope of the token does not cover this request.",
        )


_BY_CODE: Final[dict[type[errors.OAuthError], type[Refusal]]] = {
    errors.InvalidRequest: MalformedRequest,
    errors.InvalidToken: TokenRefused,
    errors.OutsideLimits: LimitsExceeded,
}


def refusal(error: errors.OAuthError, challenge: Challenge, scope: Scope = Scope()) -> Refusal:
    """Return the exception for a protocol error.

    Args:
        error: `Unavailable` stands for any error that is not the fault of the request.
        challenge: of the resource server.
        scope: the required scope, named if another token would help.
    """
    kind = next((kind for of, kind in _BY_CODE.items() if isinstance(error, of)), Unavailable)
    if kind is Unavailable:
        return Unavailable(error)
    named = scope if kind is TokenRefused else Scope()
    header = challenge.header(scope=named, error=error.code, description=error.description)
    return kind(error, header)


class OnwardError(APIException):
    """There is no token for the next service.

    Args:
        reason: the refusal of the authorization server, if any. It contains no token.

    Attributes:
        code: its error code (RFC 6749 section 5.2), or an empty string.
    """

    default_detail = "Another service could not be called."

    def __init__(self, reason: Refused | None = None) -> None:
        self.code = "" if reason is None else reason.code
        body: dict[str, str | dict[str, str]] = {
            "error": self.default_code,
            "error_description": str(self.default_detail),
        }
        if reason is not None:
            members = {"error": reason.code, "error_description": reason.description}
            body["reason"] = {name: text for name, text in members.items() if text}
        super().__init__(body, code=self.default_code)


class ExchangeRefused(OnwardError):
    """The authority of the caller does not extend to the next service."""

    status_code = HTTPStatus.FORBIDDEN
    default_code = "exchange_refused"
    default_detail = "The authority of this request does not extend to the next service."


class ExchangeFailed(OnwardError):
    """The authorization server failed, or this service is misconfigured."""

    status_code = HTTPStatus.BAD_GATEWAY
    default_code = "exchange_failed"


class ExchangeUnavailable(OnwardError):
    """The authorization server does not respond at the moment.

    Attributes:
        wait: seconds, sent as Retry-After.
    """

    status_code = HTTPStatus.SERVICE_UNAVAILABLE
    default_code = errors.TemporarilyUnavailable.code
    wait = 2


def onward(error: ClientError) -> OnwardError:
    """Return the exception for a failed exchange."""
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
