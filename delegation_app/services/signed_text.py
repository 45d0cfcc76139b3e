"""Signed texts that callers carry from one response to the next request, and cannot alter."""

from __future__ import annotations

import json
from typing import Any, Final

from django.core import signing
from django.utils.crypto import constant_time_compare

from delegation_app.protocol.secrets import digest

_SALT: Final = "delegation_app.api"


def sign(value: str, *bound_to: Any) -> str:
    """Return `value` with a signature over it and over `bound_to`.

    Args:
        value: without a tilde; readable by every caller.
        bound_to: what must be equal at the verification: JSON types, times and ids.
    """
    return f"{value}~{_signature(value, bound_to)}"


def verify(text: str, *bound_to: Any) -> str | None:
    """Return the value of a text from `sign` with the same `bound_to`; None for any other text."""
    value, _, signature = text.partition("~")
    if not constant_time_compare(signature, _signature(value, bound_to)):
        return None
    return value


def _signature(value: str, bound_to: tuple[Any, ...]) -> str:
    # JSON delimits the parts, so that no two lists share a signature
    whole = json.dumps([value, *bound_to], sort_keys=True, default=str)
    return signing.Signer(salt=_SALT).signature(digest(whole))
