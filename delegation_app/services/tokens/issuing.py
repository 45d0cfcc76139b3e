"""Issuing tokens on a delegation, and composing the token response."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from delegation_app import clock
from delegation_app.conf import conf
from delegation_app.events import TOKEN_ISSUED, Event
from delegation_app.models import AccessToken, Delegation, RefreshToken
from delegation_app.protocol import jose, names, secrets
from delegation_app.protocol.audience import Audience
from delegation_app.protocol.claims import AccessTokenClaims
from delegation_app.protocol.constraints import EnforcementPoint
from delegation_app.protocol.errors import InvalidGrant, InvalidScope, InvalidTarget, OAuthError
from delegation_app.protocol.scope import Scope
from delegation_app.services import audit
from delegation_app.services.clients.registered_client import RegisteredClient
from delegation_app.services.delegations import enforcement
from delegation_app.services.status_lists import publication


@dataclass(frozen=True, slots=True)
class TokenParameters:
    """The part of a delegation that a token carries."""

    delegation: Delegation
    client: RegisteredClient
    scope: Scope
    audience: Audience


@dataclass(frozen=True, slots=True)
class IssueOptions:
    """The differences between the grants when a token is issued.

    Attributes:
        event: the audit event.
        refusal: the error class where a constraint refuses.
        not_after: an end of the token besides that of its delegation (UTC).
        token_type: the token type in the response of an exchange (RFC 8693 section 3).
        details: further members of the audit event, of JSON types.
        is_counted: whether the token counts as a use; false for one that replaces a token whose
            response was lost.
        is_first: whether no token of the delegation can have been presented before.
    """

    event: Event = TOKEN_ISSUED
    refusal: type[OAuthError] = InvalidGrant
    not_after: datetime | None = None
    token_type: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    is_counted: bool = True
    is_first: bool = False


_USUAL: Final = IssueOptions()


@dataclass(frozen=True, slots=True)
class NewRefreshToken:
    """A refresh token: its row, and its text, which is not stored."""

    row: RefreshToken
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Issued:
    """The result of a token request.

    Attributes:
        access: the row of the access token.
        claims: the claims of a JWT, which is signed with the response.
        opaque: the text of an opaque token.
        refresh_token: the refresh token, if there is one.
        token_type: the type of an exchanged token (RFC 8693 section 3); None for other grants.
    """

    access: AccessToken
    claims: dict[str, Any]
    opaque: str | None = field(repr=False)
    refresh_token: NewRefreshToken | None = None
    token_type: str | None = None

    def answer(self, signer: jose.SigningIdentity) -> dict[str, Any]:
        """Return the members of the token response (RFC 6749 section 5.1).

        Args:
            signer: the key for a JWT. It is read before the redemption, so that a missing key costs
                no client a code.
        """
        answer: dict[str, Any] = {
            "access_token": self.opaque or self._signed(signer),
            "token_type": "Bearer",
            "expires_in": _left(self.access.expires_at, self.access.issued_at),
            # OAuth 2.1 section 3.2.3: always sent, also where it equals the request
            "scope": str(self.access.scope),
        }
        # RFC 8693 section 2.2.1
        if self.token_type is not None:
            answer["issued_token_type"] = self.token_type
        if self.refresh_token is not None:
            now = clock.now()
            answer["refresh_token"] = self.refresh_token.text
            # draft-ietf-oauth-refresh-token-expiration: how long both may be relied on
            answer["refresh_token_timeout"] = _left(self.refresh_token.row.expires_at, now)
            if (ends := self.access.delegation.expires_at) is not None:
                answer["authorization_expires_in"] = _left(ends, now)
        return answer

    def _signed(self, signer: jose.SigningIdentity) -> str:
        return jose.sign(self.claims, signer, typ=names.ACCESS_TOKEN_TYP)


def within(token: TokenParameters) -> TokenParameters:
    """Cut a token to its delegation, which may have been narrowed since the token was requested.

    Raises:
        InvalidScope, InvalidTarget: nothing is left of the token.
    """
    delegation = token.delegation
    scope, audience = token.scope & delegation.scopes, token.audience & delegation.audience
    if not scope:
        raise InvalidScope("Nothing of the scope is left in the delegation.")
    if not audience:
        raise InvalidTarget("Nothing of the audience is left in the delegation.")
    return replace(token, scope=scope, audience=audience)


def issue(
    token: TokenParameters,
    origin: audit.RequestContext,
    options: IssueOptions = _USUAL,
    *,
    refresh_token: NewRefreshToken | None = None,
) -> Issued:
    """Issue an access token on a delegation, cut to what the delegation allows now.

    Every access token is issued here. Its scope, audience, constraints and end are within those of
    the delegation as read under the lock.

    Args:
        token: the part of the delegation that the token carries.
        origin: the client as actor, and the origin of the request.
        options: the differences of the grant.
        refresh_token: the refresh token that goes with it.

    Raises:
        OAuthError: of the class `options.refusal`; a constraint refuses, or its uses are exhausted.
        InvalidScope, InvalidTarget: the delegation no longer allows any of it.

    Side effects: one row, one audit event, the counters of limited delegations, and once a minute
    the time of the last use. Call it inside a transaction that holds the root of the delegation.
    """
    token = within(token)
    delegation, client = token.delegation, token.client
    _enforce_and_count(token, origin, options)
    opaque = secrets.new_opaque_token() if client.wants_opaque(token.audience) else None
    access = _store(token, opaque, options.not_after)
    details = {
        "grant_type": delegation.grant_type,
        "scope": str(token.scope),
        "audience": list(token.audience),
        **options.details,
    }
    audit.record(options.event, origin, delegation=delegation, jti=access.jti, details=details)
    claims = _claims(access, client, options.refusal)
    return Issued(access, claims, opaque, refresh_token, options.token_type)


def _enforce_and_count(
    token: TokenParameters, origin: audit.RequestContext, options: IssueOptions
) -> None:
    delegation = token.delegation
    enforcement.enforce(
        delegation,
        token.audience,
        origin,
        EnforcementPoint.ISSUE,
        refusal=options.refusal,
        is_counted=options.is_counted,
    )
    if options.is_counted:
        enforcement.count_token(delegation, refusal=options.refusal)
    if options.is_first:
        delegation.note_first_tokens()
    else:
        delegation.note_use(clock.now())


def issue_first(
    token: TokenParameters,
    granted: TokenParameters,
    origin: audit.RequestContext,
    options: IssueOptions = _USUAL,
) -> Issued:
    """Issue the first tokens on a delegation that a user granted.

    Args:
        token: the part of the delegation that the access token carries.
        granted: the part that the refresh token covers, if the client gets one.
        origin: the client as actor, and the origin of the request.
        options: see `issue`.

    Raises:
        InvalidGrant: as `issue`.

    Side effects: those of `issue` and maybe of `issue_refresh_token`.
    """
    # RFC 9700 section 4.14.2: whether there is a refresh token is the policy's decision
    renewable = token.client.may_use(names.REFRESH_TOKEN)
    fresh = issue_refresh_token(granted, secrets.new_secret()) if renewable else None
    return issue(token, origin, replace(options, is_first=True), refresh_token=fresh)


def issue_refresh_token(
    granted: TokenParameters, text: str, *, predecessor: RefreshToken | None = None
) -> NewRefreshToken:
    """Store a refresh token.

    Args:
        granted: the part of the delegation that it covers.
        text: the token.
        predecessor: the token that it replaces; a token has at most one successor.

    Side effects: one row. Call it inside a transaction that holds the root of the delegation.
    """
    now = clock.now()
    row = RefreshToken.objects.create(
        digest=secrets.digest(text),
        delegation=granted.delegation,
        predecessor=predecessor,
        scope=granted.scope,
        audience=granted.audience,
        issued_at=now,
        expires_at=_ends(now, granted.client.refresh_token_lifetime, granted.delegation),
    )
    return NewRefreshToken(row, text)


def _store(token: TokenParameters, opaque: str | None, not_after: datetime | None) -> AccessToken:
    now = clock.now().replace(microsecond=0)
    access = AccessToken.objects.create(
        jti=secrets.new_token_id(),
        digest=None if opaque is None else secrets.digest(opaque),
        delegation=token.delegation,
        scope=token.scope,
        audience=token.audience,
        issued_at=now,
        expires_at=_ends(now, token.client.access_token_lifetime, token.delegation, not_after),
    )
    _check_within(access)
    return access


def _check_within(access: AccessToken) -> None:
    # A fault of this app must not become a token that exceeds its record
    delegation = access.delegation
    ends = delegation.expires_at
    if not (
        access.scope <= delegation.scopes
        and access.audience <= delegation.audience
        and (ends is None or access.expires_at <= ends)
    ):
        message = f"token {access.jti} exceeds delegation {delegation.public_id}"
        raise AssertionError(message)


def _claims(
    access: AccessToken, client: RegisteredClient, refusal: type[OAuthError]
) -> dict[str, Any]:
    delegation = access.delegation
    claims = AccessTokenClaims(
        issuer=conf.issuer,
        subject=delegation.subject,
        audience=access.audience,
        client_id=delegation.delegate_client_id,
        scope=access.scope,
        jti=access.jti,
        delegation_id=str(delegation.public_id),
        issued_at=access.issued_at,
        expires_at=access.expires_at,
        auth_time=delegation.auth_time,
        acr=delegation.acr,
        actors=tuple(delegation.actors),
        may_act=client.policy.may_act,
        constraints=delegation.constraints.claim(),
        # Opaque tokens are always introspected
        status=publication.reference(access.pk) if access.digest is None else None,
    ).as_dict()
    # Verifiers refuse a longer token unread, the one of this app included
    if access.digest is None and not jose.fits(claims):
        raise refusal("The limits and actors are too long for a token.")
    return claims


def _ends(
    now: datetime,
    lifetime: timedelta,
    delegation: Delegation,
    not_after: datetime | None = None,
) -> datetime:
    # No token outlives its delegation, or the token that it was exchanged for
    ends = (now + lifetime, delegation.expires_at, not_after)
    return min(moment for moment in ends if moment is not None)


def _left(ends: datetime, now: datetime) -> int:
    return max(0, int((ends - now).total_seconds()))
