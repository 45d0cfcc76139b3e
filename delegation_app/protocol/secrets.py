"""Random values, the digests that are stored of them, and the keys derived from a site's secret."""

from __future__ import annotations

import base64
import hashlib
import hmac
import math
import re
import secrets
import string
from itertools import pairwise
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from delegation_app.protocol import user_code

# RFC 6749 section 10.10 wants 2^-160 for guessing; both kinds have more. The two lengths differ,
# so that one look-up finds an opaque token without asking two tables.
_SECRET_BYTES: Final = 32
_OPAQUE_BYTES: Final = 40
OPAQUE_LENGTH: Final = 54
_ID_BYTES: Final = 20

# What `new_secret` writes: 256 bits in 43 characters, so the last one has two bits that are zero
SECRET_LENGTH: Final = 43
_LAST: Final = frozenset("AEIMQUYcgkosw048")
_ALPHANUMERIC: Final = frozenset(string.ascii_letters + string.digits)
_BASE64URL: Final = _ALPHANUMERIC | {"-", "_"}
_ENOUGH_BITS: Final = 128
_CLASSES: Final = (frozenset(string.ascii_lowercase), frozenset(string.ascii_uppercase))

# Shorter text is names and words; a site refuses secrets of that length itself
_MAX_NAME: Final = 19
# A user code with any separators that a person or a sentence puts between its letters
_USER_CODE: Final = (
    rf"(?<![A-Z0-9])[{user_code.ALPHABET}]"
    rf"(?:[-._/\u2010-\u2014\u2212 \u00a0\t]{{0,3}}[{user_code.ALPHABET}])"
    rf"{{{user_code.LENGTH - 1}}}(?![A-Z0-9])"
)
_HAS_USER_CODE: Final = re.compile(_USER_CODE, re.ASCII | re.IGNORECASE)
# A JWT; a word as generators write it, base64 with its padding included
_MAYBE_SECRET: Final = re.compile(
    rf"eyJ[\w-]*(?:\.[\w-]*)+|[\w~+/-]{{{_MAX_NAME + 1},}}={{0,2}}|{_USER_CODE}",
    re.ASCII | re.IGNORECASE,
)
# What paths and the names of products and time zones consist of
_PART: Final = re.compile(r"[A-Z]?[a-z]*[0-9]*|[A-Z]+[0-9]*")
_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_WORDS: Final = re.compile(r"[a-z~_-]+|[A-Z~_-]+")


def new_secret() -> str:
    """Return a code, refresh token or handle: 43 base64url characters of 256 random bits."""
    return secrets.token_urlsafe(_SECRET_BYTES)


def new_opaque_token() -> str:
    """Return an opaque access token: 54 base64url characters of 320 random bits."""
    return secrets.token_urlsafe(_OPAQUE_BYTES)


def new_token_id() -> str:
    """Return a `jti`: 27 base64url characters of 160 random bits (RFC 7519 section 4.1.7)."""
    return secrets.token_urlsafe(_ID_BYTES)


def digest(secret: str) -> str:
    """Return what is stored of a secret: the hexadecimal SHA-256 of its UTF-8 bytes."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def is_random(text: str, *, generated: int) -> bool:
    """Return whether `text` looks generated, so that a plain digest of it can be stored.

    In doubt the answer is False, which costs a slow hash and nothing else: so for 3 of 1,000 random
    texts of 256 bits.

    Args:
        text: a secret.
        generated: the number of letters and digits that the site's generator writes; 0 if unknown.
    """
    if len(text) == SECRET_LENGTH and text[-1] in _LAST and _BASE64URL.issuperset(text):
        return _looks_random(text, len(_BASE64URL))
    return (
        len(text) == generated
        and _ALPHANUMERIC.issuperset(text)
        and _looks_random(text, len(_ALPHANUMERIC))
    )


def _looks_random(text: str, alphabet: int) -> bool:
    length = len(text)
    different = alphabet * (1 - (1 - 1 / alphabet) ** length)
    kinds = [next((n for n, kind in enumerate(_CLASSES) if c in kind), None) for c in text]
    pairs = list(pairwise(kinds))
    return (
        length * math.log2(alphabet) >= _ENOUGH_BITS
        # Words repeat letters, keep to one case, and are mostly lower case
        and len(set(text)) >= 0.7 * different
        and sum(one != other for one, other in pairs) >= length / 3
        and sum(one == other == 0 for one, other in pairs) <= 0.38 * length
    )


def hint(secret: str) -> str:
    """Return the first 8 characters of the digest, which logs and audit may carry."""
    return digest(secret)[:8]


def masked(text: str) -> str:
    """Return text that a caller sent, for logs and audit, with possible secrets replaced by hints.

    Users confuse fields, so a secret may stand where a name belongs. Masked are JWTs, user codes,
    and words of 20 characters or more with a digit or in both cases, base64 included. UUIDs,
    shorter words and words of one case are not. Mask before truncating: the rest of a truncated
    secret may no longer look like one.

    Args:
        text: any text, of any length.
    """
    return _MAYBE_SECRET.sub(_hinted, text)


def masked_name(name: str) -> str:
    """Return an unknown name for logs and audit; see `masked`.

    It may be a secret of any form in the wrong field, so a long one is always replaced.
    """
    return masked(name) if len(name) <= _MAX_NAME else _hint_of(name)


def _hinted(found: re.Match[str]) -> str:
    text = found[0]
    if len(text) <= _MAX_NAME or _HAS_USER_CODE.search(text):
        return _hint_of(text)
    if _is_path(text):
        return "".join(map(masked, re.split(r"([+/])", text)))
    bare = text.rstrip("=")
    return text if _WORDS.fullmatch(bare) or _UUID.fullmatch(bare) else _hint_of(text)


def _is_path(text: str) -> bool:
    # Random base64 has letters of both cases, not only at the start of its parts
    if not ("/" in text or "+" in text):
        return False
    is_mixed = text not in {text.lower(), text.upper()}
    return not is_mixed or all(map(_PART.fullmatch, re.split(r"[+/~_-]", text.rstrip("="))))


def _hint_of(text: str) -> str:
    # There are so few user codes that the start of a digest identifies one
    return "[masked]" if _HAS_USER_CODE.search(text) else f"[masked {hint(text)}]"


def derive_key(secret: str, purpose: str) -> bytes:
    """Return 32 bytes for one purpose from a site's secret (HKDF, RFC 5869)."""
    hkdf = HKDF(SHA256(), length=32, salt=None, info=f"delegation_app/{purpose}".encode())
    return hkdf.derive(secret.encode())


def successor(key: bytes, refresh_token: str) -> str:
    """Return the refresh token that follows `refresh_token`.

    It is derived, so that a retry after a lost response gets the same token without storing it.
    """
    return _mac(key, refresh_token)


def code_for(key: bytes, handle: str) -> str:
    """Return the authorization code of the consent request with this handle.

    It is derived, so that a decision submitted twice gets the same code without storing it.
    """
    return _mac(key, handle)


def _mac(key: bytes, secret: str) -> str:
    mac = hmac.new(key, secret.encode("utf-8", "surrogatepass"), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(mac).rstrip(b"=").decode("ascii")
