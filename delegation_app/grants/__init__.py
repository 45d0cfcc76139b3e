"""The grant types. Metadata and parameter checks follow from this index; see `grant_types`."""

from __future__ import annotations

from typing import Final

from delegation_app.grants import (
    authorization_code,
    client_credentials,
    device_code,
    refresh_token,
    replays,
    token_exchange,
)
from delegation_app.grants.base import Grant, TokenRequest

__all__ = ["REGISTRY", "Grant", "TokenRequest", "replays"]

_INSTALLED: Final[tuple[Grant, ...]] = (
    authorization_code,
    client_credentials,
    device_code,
    refresh_token,
    token_exchange,
)

REGISTRY: Final[dict[str, Grant]] = {grant.TYPE: grant for grant in _INSTALLED}
