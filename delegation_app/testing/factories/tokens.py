"""Codes and tokens. Only the instances have their texts."""

from __future__ import annotations

from typing import Any, Final

from factory.declarations import SubFactory

from delegation_app.models import AccessToken, AuthorizationCode, Delegation, RefreshToken
from delegation_app.protocol import pkce
from delegation_app.protocol.names import AUTHORIZATION_CODE
from delegation_app.protocol.secrets import digest, new_secret
from delegation_app.services.tokens import authorization_codes
from delegation_app.services.transactions import nested
from delegation_app.testing import tokens
from delegation_app.testing.factories.base import WrittenFactory
from delegation_app.testing.factories.delegations import DelegationFactory

# RFC 7636 appendix B
CODE_VERIFIER: Final = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"


class AuthorizationCodeFactory(WrittenFactory):
    """A code that its client can redeem.

    Parameters:
        delegation: of the code, with the consent of a user.
        redirect_uri: None for the first one of the client.
        code_verifier: the PKCE verifier for redeeming it (RFC 7636).

    The instance has the code in `text` and the verifier in `code_verifier`.

    Raises:
        ValueError: the delegation is not live, or its grant type has no codes.

    Side effects: one row, one audit event.
    """

    class Meta:
        model = AuthorizationCode

    delegation = SubFactory(DelegationFactory)
    redirect_uri = None
    code_verifier = CODE_VERIFIER

    @classmethod
    def _make(
        cls, *, delegation: Delegation, redirect_uri: str | None, code_verifier: str
    ) -> AuthorizationCode:
        with nested():
            view = tokens.view_of(delegation)
            if view.delegation.grant_type != AUTHORIZATION_CODE:
                raise ValueError("A delegation of this grant type has no codes.")
            text = authorization_codes.issue(
                view.delegation,
                handle=new_secret(),
                redirect_uri=redirect_uri or view.client.application.redirect_uris.split()[0],
                code_challenge=pkce.challenge_for(code_verifier),
                origin=tokens.ORIGIN.acting_as(delegation.subject),
            )
        code: Any = AuthorizationCode.objects.get(digest=digest(text))
        code.text, code.code_verifier = text, code_verifier
        return code  # type: ignore[no-any-return]


class AccessTokenFactory(WrittenFactory):
    """An access token.

    Parameters:
        delegation: of the token.
        scope, audience: a part of the delegation; None for all of it.
        expires_at: its latest expiry; None for the lifetime in the client's policy.

    The instance has the signed or opaque token in `text`.

    Raises:
        ValueError: the delegation is not live.
        InvalidScope, InvalidTarget, InvalidGrant: see `delegation_app.testing.tokens.token_for`.

    Side effects: one row, one audit event.
    """

    class Meta:
        model = AccessToken

    delegation = SubFactory(DelegationFactory)
    scope = None
    audience = None
    expires_at = None

    @classmethod
    def _make(cls, *, delegation: Delegation, **part: Any) -> Any:
        row, text = tokens.access_token(delegation, **part)
        token: Any = row
        token.text = text
        return token


class RefreshTokenFactory(WrittenFactory):
    """A refresh token that its client can use once.

    Parameters:
        delegation: of the token.
        scope, audience: a part of the delegation; None for all of it.

    The instance has the token in `text`.

    Raises:
        ValueError: the delegation is not live, or its client gets no refresh token on it.
        InvalidScope, InvalidTarget: the part exceeds the delegation.

    Side effects: one row. A refresh token has no audit event of its own.
    """

    class Meta:
        model = RefreshToken

    delegation = SubFactory(DelegationFactory)
    scope = None
    audience = None

    @classmethod
    def _make(cls, *, delegation: Delegation, **part: Any) -> Any:
        renewal = tokens.refresh_token(delegation, **part)
        token: Any = renewal.row
        token.text = renewal.text
        return token
