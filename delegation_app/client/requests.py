"""Builders for the requests of a client. Nothing here sends them."""

from __future__ import annotations

from dataclasses import dataclass, field

from delegation_app.client.credentials import Credentials
from delegation_app.client.http.transport import Request
from delegation_app.client.tokens import Target
from delegation_app.protocol import names


@dataclass(frozen=True, slots=True)
class Code:
    """An authorization code with its PKCE verifier. The representation hides both."""

    code: str = field(repr=False)
    verifier: str = field(repr=False)
    redirect_uri: str


def redeem(endpoint: str, credentials: Credentials, code: Code) -> Request:
    """Return the request that redeems an authorization code (RFC 6749 section 4.1.3)."""
    fields = {
        "grant_type": names.AUTHORIZATION_CODE,
        "code": _required(code.code),
        # RFC 7636 section 4.5
        "code_verifier": code.verifier,
        "redirect_uri": code.redirect_uri,
    }
    return credentials.request(endpoint, fields)


def client_credentials(endpoint: str, credentials: Credentials, target: Target) -> Request:
    """Return the request for a token of the client itself (RFC 6749 section 4.4.2).

    Raises:
        ValueError: the client is public; RFC 6749 section 4.4 is for confidential clients only.
    """
    if credentials.client_secret is None:
        raise ValueError("A public client cannot use client credentials.")
    # RFC 8707 section 2
    fields = {"grant_type": names.CLIENT_CREDENTIALS, **target.fields("resource")}
    return credentials.request(endpoint, fields)


def refresh(endpoint: str, credentials: Credentials, refresh_token: str, target: Target) -> Request:
    """Return the request that uses a refresh token (RFC 6749 section 6)."""
    fields = {"grant_type": names.REFRESH_TOKEN, "refresh_token": _required(refresh_token)}
    return credentials.request(endpoint, {**fields, **target.fields("resource")})


def exchange(
    endpoint: str,
    credentials: Credentials,
    subject_token: str,
    target: Target,
    actor_token: str | None = None,
) -> Request:
    """Return the request that exchanges an access token for another one (RFC 8693 section 2.1)."""
    fields = {
        "grant_type": names.TOKEN_EXCHANGE,
        "subject_token": _required(subject_token),
        "subject_token_type": names.ACCESS_TOKEN,
        "requested_token_type": names.ACCESS_TOKEN,
    }
    # RFC 8693 section 2.1: the type is sent exactly if the token is
    if actor_token is not None:
        fields |= {"actor_token": _required(actor_token), "actor_token_type": names.ACCESS_TOKEN}
    return credentials.request(endpoint, {**fields, **target.fields("audience")})


def about(endpoint: str, credentials: Credentials, token: str, hint: str | None = None) -> Request:
    """Return the request that revokes or introspects a token (RFC 7009 and 7662, section 2.1).

    Args:
        endpoint: the revocation or the introspection endpoint.
        credentials: of the requesting client.
        token: an access or refresh token.
        hint: `access_token` or `refresh_token`.
    """
    fields = {"token": _required(token)}
    if hint is not None:
        fields["token_type_hint"] = hint
    return credentials.request(endpoint, fields)


def _required(token: str) -> str:
    # RFC 6749 section 3.2: a parameter without a value counts as left out
    if not token:
        raise ValueError("The token is empty.")
    return token
