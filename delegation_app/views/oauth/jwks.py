"""The published keys (RFC 7517)."""

from __future__ import annotations

from typing import Any

from delegation_app.services import signing_keys
from delegation_app.views.public_document import public_document


@public_document
def jwks() -> dict[str, Any]:
    """Return the public half of every key that may have signed a token that still lives."""
    return {"keys": signing_keys.published()}
