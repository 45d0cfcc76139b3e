"""The code that a user reads on a device and types into a browser (RFC 8628 section 6.1)."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Final

# RFC 8628 section 6.1: consonants only, so that no code is a word or is mistaken for another
ALPHABET: Final = "BCDFGHJKLMNPQRSTVWXZ"
LENGTH: Final = 8

_HALF: Final = LENGTH // 2
# Separators that users type: hyphens as keyboards and word processors write them, spaces
_BETWEEN: Final = dict.fromkeys(map(ord, "-\u2010\u2011\u2012\u2013\u2014\u2212 \u00a0\t"))


def new_user_code() -> str:
    """Return a new code in its displayed form: about 34 random bits (RFC 8628 section 5.1)."""
    return shown("".join(secrets.choice(ALPHABET) for _ in range(LENGTH)))


def shown(letters: str) -> str:
    """Return the displayed form of a code's letters, such as `WDJB-MJHT`."""
    return f"{letters[:_HALF]}-{letters[_HALF:]}"


def normalised(typed: str) -> str | None:
    """Return the displayed form of a typed code; None if it is not a code.

    Case, hyphens and spaces do not matter (RFC 8628 section 6.1).
    """
    # Truncated first: a megabyte costs nothing, and a code with a space after each letter fits
    letters = typed[: 4 * LENGTH + 1].translate(_BETWEEN)
    # Only ASCII: str.upper turns some other characters into ASCII letters
    if len(typed) > 4 * LENGTH or len(letters) != LENGTH or not letters.isascii():
        return None
    letters = letters.upper()
    return shown(letters) if set(letters) <= set(ALPHABET) else None


def keyed_digest(key: bytes, user_code: str) -> str:
    """Return the stored form of a code: a hexadecimal HMAC-SHA-256.

    A reader of the database could reverse a plain digest of 34 random bits.
    """
    return hmac.new(key, user_code.encode(), hashlib.sha256).hexdigest()
