"""Signing keys as JSON Web Keys (RFC 7517, RFC 7518, RFC 8037)."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
Jwk = dict[str, str]

_GENERATORS: Final[Mapping[str, Callable[[], PrivateKey]]] = {
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "RS256": lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
}
ALGORITHMS: Final = tuple(_GENERATORS)


def generate(algorithm: str) -> PrivateKey:
    """Return a new private key for one of ALGORITHMS."""
    return _GENERATORS[algorithm]()


def to_pem(key: PrivateKey) -> bytes:
    """Return the key as unencrypted PKCS #8; encrypt it before storing it."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def from_pem(pem: bytes) -> PrivateKey:
    """Return the private key in `pem`."""
    key = load_pem_private_key(pem, password=None)
    if not isinstance(key, PrivateKey):
        raise TypeError(f"{type(key).__name__} is not a signing key")
    return key


def public_jwk(key: PrivateKey, algorithm: str) -> Jwk:
    """Return the published form: the public key with `kid` (RFC 7638), `use` and `alg`."""
    members = _public_members(key)
    return {**members, "kid": thumbprint(members), "use": "sig", "alg": algorithm}


def thumbprint(members: Mapping[str, str]) -> str:
    """Return the SHA-256 thumbprint of the required public members (RFC 7638 section 3)."""
    required = {
        name: members[name] for name in ("crv", "e", "kty", "n", "x", "y") if name in members
    }
    canonical = json.dumps(required, separators=(",", ":"), sort_keys=True).encode()
    return _base64url(hashlib.sha256(canonical).digest())


def _public_members(key: PrivateKey) -> Jwk:
    if isinstance(key, ec.EllipticCurvePrivateKey):
        point = key.public_key().public_numbers()
        return {"kty": "EC", "crv": "P-256", "x": _number(point.x, 32), "y": _number(point.y, 32)}
    if isinstance(key, rsa.RSAPrivateKey):
        numbers = key.public_key().public_numbers()
        return {"kty": "RSA", "n": _number(numbers.n), "e": _number(numbers.e)}
    raw = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return {"kty": "OKP", "crv": "Ed25519", "x": _base64url(raw)}


def _number(value: int, length: int | None = None) -> str:
    # RFC 7518 section 6.2.1.2: a coordinate keeps its leading zeros, a modulus has none
    return _base64url(value.to_bytes(length or (value.bit_length() + 7) // 8, "big"))


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")
