"""Proof key for code exchange, S256 only (RFC 7636)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from typing import Final

from delegation_app.protocol.errors import InvalidRequest

METHOD: Final = "S256"

# A SHA-256 digest in base64url without padding has exactly 43 characters.
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
# RFC 7636 section 4.1: 43 to 128 unreserved characters
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")


def challenge_for(verifier: str) -> str:
    """Return the S256 challenge of `verifier` (RFC 7636 section 4.2)."""
    digest = hashlib.sha256(verifier.encode("ascii")).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")


def check_challenge(challenge: str | None, method: str | None) -> str:
    """Return the challenge of an authorization request.

    Raises:
        InvalidRequest: no challenge, another transform than S256, or the wrong form.
    """
    # RFC 9700 section 2.1.1, OAuth 2.1 section 4.1.1: every client sends a challenge
    if challenge is None:
        raise InvalidRequest("A code_challenge is required (PKCE).")
    # RFC 7636 section 4.3: an absent method means plain, which is not supported here
    if method != METHOD:
        raise InvalidRequest("The code_challenge_method must be S256.")
    if not _CHALLENGE.fullmatch(challenge):
        raise InvalidRequest("The code_challenge must be 43 base64url characters.")
    return challenge


def proves(verifier: str | None, challenge: str) -> bool:
    """Return whether `verifier` belongs to `challenge` (RFC 7636 section 4.6)."""
    if verifier is None or not _VERIFIER.fullmatch(verifier):
        return False
    return hmac.compare_digest(challenge_for(verifier), challenge)
