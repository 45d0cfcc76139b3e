"""What can go wrong for a client: no answer, one that is of no use, or a refusal with its code."""

from __future__ import annotations

import re
from typing import ClassVar, Final

_LONGEST: Final = 200
# RFC 6749 section 5.2: error_description is %x20-21 / %x23-5B / %x5D-7E
_NOT_PRINTABLE = re.compile(r"[^\x20-\x21\x23-\x5b\x5d-\x7e]")
# A server may quote what it was sent, and an error ends in a log
_LONG_WORD = re.compile(r"[\w.~+/=%-]{32,}")
# Every registered code looks like this, and no token does
_CODE = re.compile(r"[a-z][a-z0-9_]{0,39}")


class ClientError(Exception):
    """Everything that this package raises because of somebody else.

    No text and no attribute of one has a secret, a token or the body of an answer.

    Attributes:
        temporary: whether the same request may do better in a moment.
        retry_after: in how many seconds, if the other side said so.
        address: the URL that was tried, without its query; empty if it is not known.
    """

    temporary: ClassVar[bool] = False
    retry_after: int | None = None
    address: str = ""

    def __str__(self) -> str:
        return f"{self.address}: {self._reason()}" if self.address else self._reason()

    def _reason(self) -> str:
        return super().__str__()


class NoAnswer(ClientError):
    """The other side did not answer, or not as it should."""

    temporary = True


class UnusableAnswer(ClientError):
    """There is an answer, but nothing may be done with it: malformed, or from somebody else."""


class Refused(ClientError):
    """The authorization server said no.

    Args:
        code: `error` of RFC 6749 sections 4.1.2.1 and 5.2 and of what extends them.
        description: what it said about it; kept printable, short and without long words.
        status: of the HTTP answer; 302 if a browser brought the error.
        retry_after: seconds, if the answer said so.
    """

    def __init__(
        self,
        code: str,
        description: str = "",
        *,
        status: int = 400,
        retry_after: int | None = None,
    ) -> None:
        harmless = _LONG_WORD.sub("...", _NOT_PRINTABLE.sub("?", description[: 4 * _LONGEST]))
        # Both of them positional, so that an error can be copied and pickled
        super().__init__(code, harmless[:_LONGEST])
        self.code = code
        self.description = harmless[:_LONGEST]
        self.status = status
        self.retry_after = retry_after

    def _reason(self) -> str:
        return f"{self.code}: {self.description}" if self.description else self.code


class InvalidRequestError(Refused):
    """`invalid_request`: among others, a subject token that is not valid (RFC 8693)."""


class InvalidClientError(Refused):
    """`invalid_client`: the credentials are wrong."""


class InvalidGrantError(Refused):
    """`invalid_grant`: the code or refresh token is used, expired or revoked; start anew."""


class UnauthorizedClientError(Refused):
    """`unauthorized_client`: this client may not do that."""


class UnsupportedGrantTypeError(Refused):
    """`unsupported_grant_type`: nobody may do that there."""


class InvalidScopeError(Refused):
    """`invalid_scope`: more than may be had."""


class InvalidTargetError(Refused):
    """`invalid_target`: not at that audience (RFC 8707 section 2)."""


class UnsupportedTokenTypeError(Refused):
    """`unsupported_token_type`: such tokens can't be revoked there (RFC 7009 section 2.2.1)."""


class AccessDeniedError(Refused):
    """`access_denied`: the person said no."""


class LoginRequiredError(Refused):
    """`login_required`: `prompt=none`, and the person is not signed in."""


class ConsentRequiredError(Refused):
    """`consent_required`: `prompt=none`, and the person has to be asked."""


class ServerFailed(Refused):
    """`server_error`: something is wrong over there."""


class TemporarilyUnavailableError(Refused):
    """`temporarily_unavailable`, or a status that says so: 429, 502, 503, 504."""

    temporary = True


_BY_CODE: Final[dict[str, type[Refused]]] = {
    "invalid_request": InvalidRequestError,
    "invalid_client": InvalidClientError,
    "invalid_grant": InvalidGrantError,
    "unauthorized_client": UnauthorizedClientError,
    "unsupported_grant_type": UnsupportedGrantTypeError,
    "invalid_scope": InvalidScopeError,
    "invalid_target": InvalidTargetError,
    "unsupported_token_type": UnsupportedTokenTypeError,
    "access_denied": AccessDeniedError,
    "login_required": LoginRequiredError,
    "consent_required": ConsentRequiredError,
    "server_error": ServerFailed,
    "temporarily_unavailable": TemporarilyUnavailableError,
}


def is_code(value: object) -> bool:
    """Tell whether `value` can be an error code."""
    return isinstance(value, str) and _CODE.fullmatch(value) is not None


def refused(
    code: str, description: object = "", *, status: int, retry_after: int | None = None
) -> Refused:
    """Return the error for a code: its own class, or `Refused` for a code of others.

    Args:
        code: one that `is_code`.
        description: what stood in `error_description`; anything but text is left out.
        status: of the HTTP answer.
        retry_after: seconds.
    """
    kind = _BY_CODE.get(code, Refused)
    text = description if isinstance(description, str) else ""
    return kind(code, text, status=status, retry_after=retry_after)
