"""Protocol errors: a code for machines, a sentence for people, a detail for the log."""

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
    """Where an answer of the authorization endpoint may go.

    Only the code that proved the client and its redirect URI makes one; an error without a
    target can't be redirected (RFC 6749 section 4.1.2.1).
    """

    uri: str
    state: str | None
    issuer: str

    def carrying(self, **parameters: str) -> str:
        """Return the redirect URI with `parameters`, `state` and `iss` in its query."""
        answer = dict(parameters)
        # RFC 6749 section 4.1.2: state comes back exactly as it was sent
        if self.state is not None:
            answer["state"] = self.state
        # RFC 9207 section 2: every authorization response names its issuer
        answer["iss"] = self.issuer
        # RFC 6749 section 3.1.2: a query that the registered URI has is kept. It has no fragment,
        # and putting it together from parsed parts would lose slashes of an app's own scheme.
        base, _, query = self.uri.partition("?")
        return f"{base}?{'&'.join(filter(None, (query, urlencode(answer))))}"


class OAuthError(Exception):
    """A refusal that the caller may read.

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
        # Both may quote what was sent
        self.detail = printable(detail)
        self.redirect = redirect
        self.retry_after: int | None = None
        self.about = about
        self.recorded = recorded
        # Whether what was asked for may have been done in spite of this error, now or before
        self.may_be_done = False

    def redirected_to(self, target: RedirectTarget) -> OAuthError:
        """Allow this error to be sent to `target`, and return it for raising."""
        self.redirect = target
        return self

    def payload(self) -> dict[str, str]:
        """Return the members of the error answer (RFC 6749 section 5.2)."""
        return {"error": self.code, "error_description": self.description}


class InvalidRequest(OAuthError):
    """The request misses, repeats or garbles a parameter (RFC 6749 section 5.2)."""

    code = "invalid_request"


class InvalidClient(OAuthError):
    """Client authentication failed (RFC 6749 section 5.2)."""

    code = "invalid_client"
    status = 401


class TooManyAttempts(OAuthError):
    """Too many failed attempts; the caller shall wait (RFC 6585 section 4)."""

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
    """The client may not do this (RFC 6749 section 5.2)."""

    code = "unauthorized_client"


class UnsupportedGrantType(OAuthError):
    """No grant of that type is installed (RFC 6749 section 5.2)."""

    code = "unsupported_grant_type"


class UnsupportedResponseType(OAuthError):
    """Only `code` is offered (RFC 6749 section 4.1.2.1, RFC 9700 section 2.1.2)."""

    code = "unsupported_response_type"


class InvalidScope(OAuthError):
    """The scope is malformed, unknown or more than may be had (RFC 6749 section 5.2)."""

    code = "invalid_scope"


class InvalidTarget(OAuthError):
    """The resource is malformed, unknown or not for this client (RFC 8707 section 2)."""

    code = "invalid_target"


class AccessDenied(OAuthError):
    """The person said no (RFC 6749 section 4.1.2.1)."""

    code = "access_denied"


class AuthorizationPending(OAuthError):
    """The person has not answered yet; the device polls on (RFC 8628 section 3.5)."""

    code = "authorization_pending"


class SlowDown(OAuthError):
    """As before, but 5 seconds more between two polls from now on (RFC 8628 section 3.5)."""

    code = "slow_down"


class ExpiredToken(OAuthError):
    """The device code has expired; the device starts anew (RFC 8628 section 3.5)."""

    code = "expired_token"


class LoginRequired(OAuthError):
    """`prompt=none`, and the person would have to sign in (OpenID Connect Core 3.1.2.6)."""

    code = "login_required"


class ConsentRequired(OAuthError):
    """`prompt=none`, and the person would have to be asked (OpenID Connect Core 3.1.2.6)."""

    code = "consent_required"


class RequestNotSupported(OAuthError):
    """Request objects are not taken (RFC 9101 section 7)."""

    code = "request_not_supported"


class RequestUriNotSupported(OAuthError):
    """Request URIs are not fetched (RFC 9101 section 7)."""

    code = "request_uri_not_supported"


class UnsupportedTokenType(OAuthError):
    """Tokens of this kind can't be revoked here (RFC 7009 section 2.2.1)."""

    code = "unsupported_token_type"


class InvalidToken(OAuthError):
    """The access token is not valid here (RFC 6750 section 3.1)."""

    code = "invalid_token"
    status = 401


class OutsideLimits(OAuthError):
    """The token is good, but a constraint of its delegation does not permit this request.

    RFC 6750 section 3.1 has no better code; a new token would not help, so it is not 401.
    """

    code = "insufficient_scope"
    status = 403


class ServerError(OAuthError):
    """Something unexpected happened; the log knows what."""

    code = "server_error"
    status = 500


class TemporarilyUnavailable(OAuthError):
    """The database does not answer; nothing was done, try again (RFC 6749 section 4.1.2.1).

    `OutcomeUnknown` is the exception.
    """

    code = "temporarily_unavailable"
    status = 503

    def __init__(self, description: str, *, retry_after: int = 2, detail: str = "") -> None:
        super().__init__(description, detail=detail)
        self.retry_after = retry_after


class OutcomeUnknown(TemporarilyUnavailable):
    """The database was lost during a commit, and does not answer whether it took place.

    Args:
        advice: a sentence that says whether the request may be repeated.
    """

    def __init__(self, advice: str) -> None:
        super().__init__(f"It is not known whether this was done. {advice}", detail="commit lost")
        # What was to be returned, had the commit been confirmed
        self.attempted: object = None
        self.may_be_done = True
        # An event of this refusal would need the database that does not answer
        self.recorded = True
