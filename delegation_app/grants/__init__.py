"""The grant types. Metadata, admin choices and parameter checks follow from this index."""

from __future__ import annotations

from typing import Final

from delegation_app.grants import (
    authorization_code,
    client_credentials,
    device_code,
    refresh_token,
    token_exchange,
)
from delegation_app.grants.base import Grant, TokenRequest

__all__ = ["REGISTRY", "Grant", "TokenRequest"]

_INSTALLED: Final[tuple[Grant, ...]] = (
    authorization_code,
    client_credentials,
    device_code,
    refresh_token,
    token_exchange,
)

REGISTRY: Final[dict[str, Grant]] = {grant.TYPE: grant for grant in _INSTALLED}
