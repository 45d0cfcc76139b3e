"""Signing and verifying JSON Web Tokens. The only module that imports `jwt`."""

from __future__ import annotations

import binascii
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import jwt
from jwt.utils import base64url_decode, base64url_encode

from delegation_app.protocol.errors import InvalidToken
from delegation_app.protocol.jwk import Jwk, PrivateKey

MAX_TOKEN_LENGTH: Final = 8 * 1024
# Base64 makes four characters of three; the rest is for the header and the longest signature.
_MAX_CLAIMS: Final = 5 * 1024
SKEW_SECONDS: Final = 10
_JWS_PARTS: Final = 3
# The last second of the year 9999; what is later is no time that anybody can compute with.
_LATEST: Final = 253_402_300_799

# RFC 7515 section 4.1: what a header may say here. Keys by value or by URL, and critical
# extensions (RFC 8725 section 3.10), are not among it.
_HEADER_MEMBERS: Final = frozenset({"alg", "typ", "kid"})


@dataclass(frozen=True, slots=True)
class SigningIdentity:
    """A private key with the names under which its signatures are published."""

    kid: str
    algorithm: str
    key: PrivateKey = field(repr=False)


def sign(claims: Mapping[str, Any], identity: SigningIdentity, *, typ: str) -> str:
    """Return `claims` as a compact JWS whose header has `typ`, `kid` and `alg`."""
    headers = {"typ": typ, "kid": identity.kid}
    return jwt.encode(dict(claims), identity.key, algorithm=identity.algorithm, headers=headers)


def fits(claims: Mapping[str, Any]) -> bool:
    """Tell whether a token with these claims is short enough to be verified again."""
    return len(json.dumps(claims, separators=(",", ":"))) <= _MAX_CLAIMS


def looks_like_jws(token: str) -> bool:
    """Tell whether `token` has the three parts of a compact JWS."""
    return token.count(".") == _JWS_PARTS - 1


def verify(
    token: str,
    key_for: Callable[[str], Jwk | None],
    *,
    typ: str,
    issuer: str,
    now: datetime,
    allow_expired: bool = False,
) -> dict[str, Any]:
    """Return the claims of a token that one of our keys signed.

    Args:
        token: the compact serialization, at most 8 KiB.
        key_for: returns the published key of a `kid`, or None; makes no network call.
        typ: the exact media type that the header must name, without `application/`.
        issuer: what `iss` must equal.
        now: the time to judge `exp`, `nbf` and `iat` by, with 10 seconds of skew.
        allow_expired: take a token whose time is over, for revocation only.

    Raises:
        InvalidToken: anything is wrong. Its description is the same for each cause.
    """
    header = _header(token)
    # RFC 8725 section 3.11, RFC 9068 section 4: explicit typing, no default
    if header["typ"].lower().removeprefix("application/") != typ:
        raise _invalid("typ")
    published = key_for(header["kid"])
    # RFC 8725 section 3.1: the algorithm is the key's, never the header's choice
    if published is None or header["alg"] != published["alg"]:
        raise _invalid("kid or alg")
    claims = _verified_claims(token, published)
    # RFC 9068 section 4: iss is compared as an exact string
    if claims.get("iss") != issuer:
        raise _invalid("iss")
    _check_times(claims, now.timestamp(), allow_expired=allow_expired)
    return claims


def _header(token: str) -> dict[str, str]:
    if len(token) > MAX_TOKEN_LENGTH or not looks_like_jws(token) or not token.isascii():
        raise _invalid("form")
    try:
        decoded = [base64url_decode(part) for part in token.split(".")]
        # RFC 7515 section 2: base64url has one spelling; a changed last character is another token
        if b".".join(map(base64url_encode, decoded)).decode() != token:
            raise _invalid("encoding")
        # RFC 7515 section 5.2: UTF-8; given bytes, `json` would take UTF-16 and a BOM too
        header = json.loads(decoded[0].decode(), object_pairs_hook=_unique)
    except (ValueError, binascii.Error, RecursionError) as error:
        raise _invalid("header") from error
    if not isinstance(header, dict) or set(header) != _HEADER_MEMBERS:
        raise _invalid("header members")
    if not all(isinstance(value, str) for value in header.values()):
        raise _invalid("header types")
    return header


def _verified_claims(token: str, published: Jwk) -> dict[str, Any]:
    try:
        key = jwt.PyJWK(published)
        payload = jwt.PyJWS().decode(token, key, algorithms=[published["alg"]])
        claims = json.loads(payload.decode(), object_pairs_hook=_unique)
    except (jwt.PyJWTError, ValueError, RecursionError) as error:
        raise _invalid("signature") from error
    if not isinstance(claims, dict):
        raise _invalid("claims")
    return claims


def _check_times(claims: Mapping[str, Any], now: float, *, allow_expired: bool) -> None:
    times = [claims.get(name) for name in ("exp", "iat", "nbf")]
    # RFC 7519 section 2: NumericDate; we only ever write whole seconds
    if not all(type(value) is int and 0 <= value <= _LATEST for value in times):
        raise _invalid("times")
    exp, iat, nbf = (int(value) for value in times if value is not None)
    if exp <= now - SKEW_SECONDS and not allow_expired:
        raise _invalid("exp")
    if max(iat, nbf) > now + SKEW_SECONDS:
        raise _invalid("nbf or iat")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # RFC 7515 section 4: member names must be unique
    members = dict(pairs)
    if len(members) != len(pairs):
        message = "a member stands twice"
        raise ValueError(message)
    return members


def _invalid(cause: str) -> InvalidToken:
    return InvalidToken("The access token is not valid.", detail=f"jwt: {cause}")
