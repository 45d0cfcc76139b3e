"""Building the requests of a client. Nothing here sends them."""

from __future__ import annotations

from dataclasses import dataclass, field

from delegation_app.client.credentials import Credentials
from delegation_app.client.http.transport import Request
from delegation_app.client.target import Target
from delegation_app.protocol import names


@dataclass(frozen=True, slots=True)
class Code:
    """What an authorization code is redeemed with. A representation shows none of it."""

    code: str = field(repr=False)
    verifier: str = field(repr=False)
    redirect_uri: str


def redeem(endpoint: str, credentials: Credentials, code: Code) -> Request:
    """Return the request that redeems an authorization code (RFC 6749 section 4.1.3)."""
    fields = {
        "grant_type": names.AUTHORIZATION_CODE,
        "code": _some(code.code),
        # RFC 7636 section 4.5
        "code_verifier": code.verifier,
        "redirect_uri": code.redirect_uri,
    }
    return credentials.request(endpoint, fields)


def client_credentials(endpoint: str, credentials: Credentials, wanted: Target) -> Request:
    """Return the request for a token in the client's own name (RFC 6749 section 4.4.2).

    Raises:
        ValueError: the client is public; RFC 6749 section 4.4 is for confidential ones only.
    """
    if credentials.client_secret is None:
        raise ValueError("A client without a secret has no name of its own to act in.")
    # RFC 8707 section 2
    fields = {"grant_type": names.CLIENT_CREDENTIALS, **wanted.fields("resource")}
    return credentials.request(endpoint, fields)


def refresh(endpoint: str, credentials: Credentials, refresh_token: str, wanted: Target) -> Request:
    """Return the request that uses a refresh token (RFC 6749 section 6)."""
    fields = {"grant_type": names.REFRESH_TOKEN, "refresh_token": _some(refresh_token)}
    return credentials.request(endpoint, {**fields, **wanted.fields("resource")})


def exchange(
    endpoint: str,
    credentials: Credentials,
    subject_token: str,
    wanted: Target,
    actor_token: str | None = None,
) -> Request:
    """Return the request that exchanges an access token for another one (RFC 8693 section 2.1)."""
    fields = {
        "grant_type": names.TOKEN_EXCHANGE,
        "subject_token": _some(subject_token),
        "subject_token_type": names.ACCESS_TOKEN,
        "requested_token_type": names.ACCESS_TOKEN,
    }
    # RFC 8693 section 2.1: the type goes with the token, and never without it
    if actor_token is not None:
        fields |= {"actor_token": _some(actor_token), "actor_token_type": names.ACCESS_TOKEN}
    return credentials.request(endpoint, {**fields, **wanted.fields("audience")})


def about(endpoint: str, credentials: Credentials, token: str, hint: str | None = None) -> Request:
    """Return the request that revokes or introspects a token (RFC 7009 and 7662, section 2.1).

    Args:
        endpoint: that decides which of the two.
        credentials: of the client that asks.
        token: an access or refresh token.
        hint: `access_token` or `refresh_token`.
    """
    fields = {"token": _some(token)}
    if hint is not None:
        fields["token_type_hint"] = hint
    return credentials.request(endpoint, fields)


def _some(token: str) -> str:
    # RFC 6749 section 3.2: a parameter without a value counts as left out
    if not token:
        raise ValueError("There is no token in it.")
    return token
