"""Signing and verifying JSON Web Tokens. The only module that imports `jwt`."""

from __future__ import annotations

import binascii
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.utils import base64url_decode, base64url_encode

from delegation_app.protocol.errors import InvalidToken
from delegation_app.protocol.jwk import ALGORITHMS, PrivateKey
from delegation_app.protocol.secrets import masked

MAX_TOKEN_LENGTH: Final = 8 * 1024
# Base64 makes four characters of three; the rest is for the header and the longest signature.
_MAX_CLAIMS: Final = 5 * 1024
# The allowed difference between the clocks of issuer and verifier in seconds, by default
SKEW_SECONDS: Final = 10
_JWS_PARTS: Final = 3
_MAX_SHOWN: Final = 120
# RFC 7518 section 3.3: "A key of size 2048 bits or larger MUST be used"
_MIN_RSA_BITS: Final = 2048
# The last second of the year 9999, where `datetime` ends
_LATEST: Final = 253_402_300_799

# RFC 7515 section 4.1: the accepted header members. Keys by value or by URL, and critical
# extensions (RFC 8725 section 3.10), are refused.
_HEADER_MEMBERS: Final = frozenset({"alg", "typ", "kid"})


class UnusableKey(ValueError):
    """A published key cannot verify access tokens; the text says why."""


@dataclass(frozen=True, slots=True)
class SigningIdentity:
    """A private key with the names under which its signatures are published."""

    kid: str
    algorithm: str
    key: PrivateKey = field(repr=False)


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A published key, parsed once: parsing costs as much as a signature."""

    kid: str
    algorithm: str
    _jwk: jwt.PyJWK = field(repr=False, compare=False)

    @classmethod
    def of(cls, members: Mapping[str, Any]) -> Self:
        """Parse a key.

        Args:
            members: a public JSON Web Key with `kid` and `alg` (RFC 7517 section 4).

        Raises:
            UnusableKey: it is for another use, has no `kid`, or is not a public key of its `alg`.
        """
        kid, algorithm = members.get("kid"), members.get("alg")
        if not isinstance(kid, str) or algorithm not in ALGORITHMS:
            raise UnusableKey("it has no kid, or an unsupported alg")
        # RFC 7517 section 4.2; and a shared secret (kty oct) is no asymmetric algorithm's key
        if members.get("use", "sig") != "sig" or "d" in members:
            raise UnusableKey("it is not for verifying signatures")
        try:
            key = jwt.PyJWK(dict(members), algorithm)
        except (jwt.PyJWTError, ValueError, TypeError, KeyError) as error:
            raise UnusableKey(f"it is not an {algorithm} key") from error
        if isinstance(key.key, rsa.RSAPublicKey) and key.key.key_size < _MIN_RSA_BITS:
            raise UnusableKey("it is too short")
        return cls(kid, algorithm, key)

    def signed(self, message: bytes, signature: bytes) -> bool:
        """Return whether this key signed `message` with its own algorithm."""
        return bool(self._jwk.Algorithm.verify(message, self._jwk.key, signature))


def sign(claims: Mapping[str, Any], identity: SigningIdentity, *, typ: str) -> str:
    """Return `claims` as a compact JWS whose header has `typ`, `kid` and `alg`."""
    headers = {"typ": typ, "kid": identity.kid}
    return jwt.encode(dict(claims), identity.key, algorithm=identity.algorithm, headers=headers)


def fits(claims: Mapping[str, Any]) -> bool:
    """Return whether a token with these claims stays below MAX_TOKEN_LENGTH."""
    return len(json.dumps(claims, separators=(",", ":"))) <= _MAX_CLAIMS


def mismatch(cause: str, *, expected: object, got: object) -> str:
    """Return the log text for a claim: short and on one line, even for a hostile token."""
    shown = masked(ascii(got))[:_MAX_SHOWN]
    return f"{cause}: expected {ascii(expected)[:_MAX_SHOWN]}, got {shown}"


def looks_like_jws(token: str) -> bool:
    """Return whether `token` has the three parts of a compact JWS."""
    return token.count(".") == _JWS_PARTS - 1


def verify(
    token: str,
    key_for: Callable[[str], VerificationKey | None],
    *,
    typ: str,
    issuer: str,
    now: float,
    skew: float = SKEW_SECONDS,
    allow_expired: bool = False,
    max_length: int = MAX_TOKEN_LENGTH,
) -> dict[str, Any]:
    """Return the claims of a token that one of the issuer's keys signed.

    Args:
        token: the compact serialization.
        key_for: returns the published key of a `kid`, or None.
        typ: the required media type in the header, without `application/`.
        issuer: the required value of `iss`.
        now: the time for `exp`, `nbf` and `iat`, in seconds since the epoch.
        skew: the allowed difference of the issuer's clock in seconds.
        allow_expired: accept an expired token, for revocation only.
        max_length: in characters; a longer token is refused unread.

    Raises:
        InvalidToken: for any reason, with the same description. The detail has the expected and
            the actual value once the signature is verified.
    """
    parts = _decoded(token, max_length)
    header = _header(parts[0])
    # RFC 8725 section 3.11, RFC 9068 section 4: explicit typing, no default
    if header["typ"].lower().removeprefix("application/") != typ:
        raise _invalid("typ")
    _check_signature(token, parts[2], header["alg"], key_for(header["kid"]))
    claims = _members(parts[1], "claims")
    # RFC 9068 section 4: iss is compared as an exact string
    if claims.get("iss") != issuer:
        raise _invalid("iss", expected=issuer, got=claims.get("iss"))
    check_times(claims, now, skew=skew, allow_expired=allow_expired)
    return claims


def unsigned(token: str, *, typ: str, issuer: str) -> tuple[str, dict[str, Any]]:
    """Return the `kid` and the claims of a token without verifying its signature.

    They identify the token and prove nothing.

    Args:
        token: the compact serialization.
        typ, issuer: as for `verify`.

    Raises:
        InvalidToken: it is malformed, of another type, or names another issuer.
    """
    parts = _decoded(token, MAX_TOKEN_LENGTH)
    header, claims = _header(parts[0]), _members(parts[1], "claims")
    if header["typ"].lower().removeprefix("application/") != typ or claims.get("iss") != issuer:
        raise _invalid("typ or iss")
    return header["kid"], claims


def check_times(
    claims: Mapping[str, Any],
    now: float,
    *,
    skew: float = SKEW_SECONDS,
    allow_expired: bool = False,
) -> None:
    """Refuse claims that are expired or not valid yet; see `verify`.

    Raises:
        InvalidToken: they are, or a time is missing or not a whole number of seconds.
    """
    exp, iat = _time(claims, "exp"), _time(claims, "iat")
    # RFC 7519 section 4.1.5: `nbf` is optional
    nbf = _time(claims, "nbf") if "nbf" in claims else iat
    if exp <= now - skew and not allow_expired:
        raise _invalid("exp", expected=f"after {now:.0f} - {skew:g}", got=exp)
    if max(iat, nbf) > now + skew:
        raise _invalid("nbf or iat", expected=f"at most {now:.0f} + {skew:g}", got=max(iat, nbf))


def _decoded(token: str, max_length: int) -> list[bytes]:
    if len(token) > max_length or not looks_like_jws(token) or not token.isascii():
        raise _invalid("form")
    try:
        decoded = [base64url_decode(part) for part in token.split(".")]
    except (ValueError, binascii.Error) as error:
        raise _invalid("encoding") from error
    # RFC 7515 section 2: base64url has one spelling; a changed last character is another token
    if b".".join(map(base64url_encode, decoded)).decode() != token:
        raise _invalid("encoding")
    return decoded


def _header(encoded: bytes) -> dict[str, str]:
    header = _members(encoded, "header")
    if header.keys() != _HEADER_MEMBERS:
        raise _invalid("header members")
    if not all(isinstance(value, str) for value in header.values()):
        raise _invalid("header types")
    return header


def _check_signature(
    token: str, signature: bytes, algorithm: str, key: VerificationKey | None
) -> None:
    # RFC 8725 section 3.1: the algorithm is the key's, never the header's choice
    if key is None or algorithm != key.algorithm:
        raise _invalid("kid or alg")
    if not key.signed(token[: token.rindex(".")].encode(), signature):
        raise _invalid("signature")


def _members(encoded: bytes, what: str) -> dict[str, Any]:
    try:
        # RFC 7515 section 5.2: UTF-8; from bytes, `json` would read UTF-16 and a BOM too
        members = json.loads(encoded.decode(), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise _invalid(what) from error
    if not isinstance(members, dict):
        raise _invalid(what)
    return members


def _time(claims: Mapping[str, Any], name: str) -> int:
    value = claims.get(name)
    # RFC 7519 section 2: NumericDate; the issuer only writes whole seconds
    if type(value) is not int or not 0 <= value <= _LATEST:
        raise _invalid(name)
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # RFC 7515 section 4: member names must be unique
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member is repeated")
    return members


def _invalid(cause: str, **compared: object) -> InvalidToken:
    detail = mismatch(f"jwt: {cause}", **compared) if compared else f"jwt: {cause}"
    return InvalidToken("The access token is not valid.", detail=detail)
