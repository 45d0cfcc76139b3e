"""Protocol errors: a code for machines, a public description, a private detail for the log."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import urlencode

from delegation_app.protocol.printable import printable

# RFC 6749 section 5.2: error_description is %x20-21 / %x23-5B / %x5D-7E
_NOT_PRINTABLE = re.compile(r"[^\x20-\x21\x23-\x5b\x5d-\x7e]")


@dataclass(frozen=True, slots=True)
class RedirectTarget:
    """The redirect target of an authorization response.

    Created only after the client and its redirect URI are validated; an error without a target
    cannot be redirected (RFC 6749 section 4.1.2.1).
    """

    uri: str
    state: str | None
    issuer: str

    def carrying(self, **parameters: str) -> str:
        """Return the redirect URI with `parameters`, `state` and `iss` in its query."""
        answer = dict(parameters)
        # RFC 6749 section 4.1.2: state is returned unchanged
        if self.state is not None:
            answer["state"] = self.state
        # RFC 9207 section 2: every authorization response names its issuer
        answer["iss"] = self.issuer
        # RFC 6749 section 3.1.2: the query of the registered URI is kept. It has no fragment, and
        # reassembling parsed parts would lose slashes of a custom scheme.
        base, _, query = self.uri.partition("?")
        return f"{base}?{'&'.join(filter(None, (query, urlencode(answer))))}"


class OAuthError(Exception):
    """A refusal with a public description.

    Args:
        description: public sentence, cut to the characters that RFC 6749 section 5.2 allows.
        detail: private text for the log and the audit trail, made printable; never a secret.
        redirect: where it may be sent; see `RedirectTarget`.
        about: the record behind the refused code or token, for the audit trail; None if unknown.
        recorded: whether the refusal's own audit event stands in the database.
    """

    code: ClassVar[str] = "server_error"
    status: ClassVar[int] = 400

    def __init__(
        self,
        description: str,
        *,
        detail: str = "",
        redirect: RedirectTarget | None = None,
        about: object = None,
        recorded: bool = False,
    ) -> None:
        self.description = _NOT_PRINTABLE.sub("?", description)
        super().__init__(f"{self.code}: {self.description}")
        # Both may quote input
        self.detail = printable(detail)
        self.redirect = redirect
        self.retry_after: int | None = None
        self.about = about
        self.recorded = recorded
        # Whether the request may have been executed in spite of this error
        self.may_be_done = False

    def redirected_to(self, target: RedirectTarget) -> OAuthError:
        """Allow this error to be sent to `target`, and return it for raising."""
        self.redirect = target
        return self

    def payload(self) -> dict[str, str]:
        """Return the members of the error answer (RFC 6749 section 5.2)."""
        return {"error": self.code, "error_description": self.description}


class InvalidRequest(OAuthError):
    """A parameter is missing, repeated or malformed (RFC 6749 section 5.2)."""

    code = "invalid_request"


class InvalidClient(OAuthError):
    """Client authentication failed (RFC 6749 section 5.2)."""

    code = "invalid_client"
    status = 401


class TooManyAttempts(OAuthError):
    """Too many failed attempts; the caller must wait (RFC 6585 section 4)."""

    code = "temporarily_unavailable"
    status = 429

    def __init__(
        self,
        description: str,
        *,
        retry_after: int,
        detail: str = "",
        redirect: RedirectTarget | None = None,
    ) -> None:
        super().__init__(description, detail=detail, redirect=redirect)
        self.retry_after = retry_after


class InvalidGrant(OAuthError):
    """The code or refresh token is unknown, used, expired, revoked or another client's."""

    code = "invalid_grant"


class UnauthorizedClient(OAuthError):
    """The client is not allowed to do this (RFC 6749 section 5.2)."""

    code = "unauthorized_client"


class UnsupportedGrantType(OAuthError):
    """No grant of that type is installed (RFC 6749 section 5.2)."""

    code = "unsupported_grant_type"


class UnsupportedResponseType(OAuthError):
    """Only `code` is offered (RFC 6749 section 4.1.2.1, RFC 9700 section 2.1.2)."""

    code = "unsupported_response_type"


class InvalidScope(OAuthError):
    """The scope is malformed, unknown or exceeds what is available (RFC 6749 section 5.2)."""

    code = "invalid_scope"


class InvalidTarget(OAuthError):
    """The resource is malformed, unknown or not for this client (RFC 8707 section 2)."""

    code = "invalid_target"


class AccessDenied(OAuthError):
    """The user denied access (RFC 6749 section 4.1.2.1)."""

    code = "access_denied"


class AuthorizationPending(OAuthError):
    """The user has not answered yet; the device continues polling (RFC 8628 section 3.5)."""

    code = "authorization_pending"


class SlowDown(OAuthError):
    """Pending; the polling interval increases by 5 seconds (RFC 8628 section 3.5)."""

    code = "slow_down"


class ExpiredToken(OAuthError):
    """The device code has expired; the device must start again (RFC 8628 section 3.5)."""

    code = "expired_token"


class LoginRequired(OAuthError):
    """`prompt=none`, but the user must sign in (OpenID Connect Core 3.1.2.6)."""

    code = "login_required"


class ConsentRequired(OAuthError):
    """`prompt=none`, but the user must be prompted (OpenID Connect Core 3.1.2.6)."""

    code = "consent_required"


class RequestNotSupported(OAuthError):
    """Request objects are not supported (RFC 9101 section 7)."""

    code = "request_not_supported"


class RequestUriNotSupported(OAuthError):
    """Request URIs are not supported (RFC 9101 section 7)."""

    code = "request_uri_not_supported"


class UnsupportedTokenType(OAuthError):
    """Tokens of this type cannot be revoked (RFC 7009 section 2.2.1)."""

    code = "unsupported_token_type"


class InvalidToken(OAuthError):
    """The access token is not valid here (RFC 6750 section 3.1)."""

    code = "invalid_token"
    status = 401


class OutsideLimits(OAuthError):
    """The token is valid, but a constraint of its delegation does not permit this request.

    RFC 6750 section 3.1 has no better code; a new token would not help, so it is not 401.
    """

    code = "insufficient_scope"
    status = 403


class ServerError(OAuthError):
    """An unexpected error; the log has the details."""

    code = "server_error"
    status = 500


class TemporarilyUnavailable(OAuthError):
    """The database is unavailable and nothing was done (RFC 6749 section 4.1.2.1).

    `OutcomeUnknown` is the exception.
    """

    code = "temporarily_unavailable"
    status = 503

    def __init__(self, description: str, *, retry_after: int = 2, detail: str = "") -> None:
        super().__init__(description, detail=detail)
        self.retry_after = retry_after


class OutcomeUnknown(TemporarilyUnavailable):
    """The database connection was lost during a commit, whose outcome is unknown.

    Args:
        advice: a sentence on whether the request may be repeated.
    """

    def __init__(self, advice: str) -> None:
        super().__init__(f"The outcome of this request is unknown. {advice}", detail="commit lost")
        # The result, had the commit been confirmed
        self.attempted: object = None
        self.may_be_done = True
        # The event of this refusal would need the unavailable database
        self.recorded = True
