"""The errors of a client: no response, an unusable response, or a refusal with its error code."""

from __future__ import annotations

import re
from typing import ClassVar, Final

_MAX_TEXT: Final = 200
# RFC 6749 section 5.2: error_description is %x20-21 / %x23-5B / %x5D-7E
_NOT_PRINTABLE = re.compile(r"[^\x20-\x21\x23-\x5b\x5d-\x7e]")
# A server may quote the request, and errors are logged
_LONG_WORD = re.compile(r"[\w.~+/=%-]{32,}")
# Every registered error code matches, and no token does
_CODE = re.compile(r"[a-z][a-z0-9_]{0,39}")


_BY_CODE: Final[dict[str, type[Refused]]] = {}


class ClientError(Exception):
    """Any error that the network or the authorization server causes.

    Neither its text nor its attributes contain a secret, a token or a response body.

    Attributes:
        temporary: whether the same request may succeed in a moment.
        retry_after: the server's wait in seconds, if any.
        address: the requested URL without its query; empty if unknown.
    """

    temporary: ClassVar[bool] = False
    retry_after: int | None = None
    address: str = ""

    def __str__(self) -> str:
        return f"{self.address}: {self._reason()}" if self.address else self._reason()

    def _reason(self) -> str:
        return super().__str__()


class NoAnswer(ClientError):
    """The server did not respond in time, or not with HTTP."""

    temporary = True


class UnusableAnswer(ClientError):
    """The response must not be used: it is malformed, or from another issuer."""


class Refused(ClientError):
    """The authorization server refused.

    Args:
        code: `error` of RFC 6749 sections 4.1.2.1 and 5.2 and of their extensions.
        description: `error_description`, made printable, short and without long words.
        status: of the HTTP response; 302 for an error in a redirect.
        retry_after: seconds, if the response has them.
    """

    def __init_subclass__(cls, *, code: str) -> None:
        super().__init_subclass__()
        _BY_CODE[code] = cls

    def __init__(
        self, code: str, description: str = "", *, status: int = 400, retry_after: int | None = None
    ) -> None:
        harmless = _LONG_WORD.sub("...", _NOT_PRINTABLE.sub("?", description[: 4 * _MAX_TEXT]))
        # Both positional, so that an error can be copied and pickled
        super().__init__(code, harmless[:_MAX_TEXT])
        self.code = code
        self.description = harmless[:_MAX_TEXT]
        self.status = status
        self.retry_after = retry_after

    def _reason(self) -> str:
        return f"{self.code}: {self.description}" if self.description else self.code


class InvalidRequestError(Refused, code="invalid_request"):
    """`invalid_request`; also for an invalid subject token (RFC 8693 section 2.2.2)."""


class InvalidClientError(Refused, code="invalid_client"):
    """`invalid_client`: wrong credentials."""


class InvalidGrantError(Refused, code="invalid_grant"):
    """`invalid_grant`: the code or refresh token is used, expired or revoked."""


class UnauthorizedClientError(Refused, code="unauthorized_client"):
    """`unauthorized_client`: this client may not use the grant type."""


class UnsupportedGrantTypeError(Refused, code="unsupported_grant_type"):
    """`unsupported_grant_type`: the server does not support the grant type."""


class InvalidScopeError(Refused, code="invalid_scope"):
    """`invalid_scope`: the scope is malformed or exceeds the grant."""


class InvalidTargetError(Refused, code="invalid_target"):
    """`invalid_target`: the audience is unknown or not allowed (RFC 8707 section 2)."""


class UnsupportedTokenTypeError(Refused, code="unsupported_token_type"):
    """`unsupported_token_type`: the server cannot revoke such tokens (RFC 7009 2.2.1)."""


class AccessDeniedError(Refused, code="access_denied"):
    """`access_denied`: the user declined."""


class LoginRequiredError(Refused, code="login_required"):
    """`login_required`: `prompt=none`, and the user is not signed in."""


class ConsentRequiredError(Refused, code="consent_required"):
    """`consent_required`: `prompt=none`, and the user has to consent."""


class ServerFailed(Refused, code="server_error"):
    """`server_error`: the authorization server failed."""


class TemporarilyUnavailableError(Refused, code="temporarily_unavailable"):
    """`temporarily_unavailable`, or the HTTP status 429, 502, 503 or 504."""

    temporary = True


def is_code(value: object) -> bool:
    """Return whether `value` can be an error code."""
    return isinstance(value, str) and _CODE.fullmatch(value) is not None


def refused(
    code: str, description: object = "", *, status: int, retry_after: int | None = None
) -> Refused:
    """Return the error for a code: its own class, or `Refused` for any other code.

    Args:
        code: for which `is_code` is true.
        description: the value of `error_description`; ignored unless it is text.
        status: of the HTTP response.
        retry_after: seconds.
    """
    kind = _BY_CODE.get(code, Refused)
    text = description if isinstance(description, str) else ""
    return kind(code, text, status=status, retry_after=retry_after)
