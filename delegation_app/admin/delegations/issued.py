"""Tokens and codes of a delegation, as tables for its page.

A secret is shown as the first characters of its digest, as in the audit trail.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.http import HttpRequest
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from delegation_app import clock
from delegation_app.events import REGISTRY
from delegation_app.models import (
    AccessToken,
    AuthorizationCode,
    Delegation,
    DeviceCode,
    RefreshToken,
)
from delegation_app.protocol.names import DEVICE_CODE

_TOKENS: Final = 20
_DIGEST: Final = 8


@dataclass(frozen=True, slots=True)
class Table:
    """A heading, the column names, and the rows."""

    heading: str | Promise
    columns: tuple[str | Promise, ...]
    rows: list[tuple[Any, ...]]
    most: int

    @property
    def is_cut(self) -> bool:
        """Whether there may be older rows."""
        return len(self.rows) >= self.most


def tables(request: HttpRequest, delegation: Delegation) -> list[Table]:
    """Return the tables that this user may see, newest rows first."""
    may = request.user.has_perm
    found = []
    if may("delegation_app.view_accesstoken"):
        found.append(_access_tokens(delegation))
    if may("delegation_app.view_refreshtoken"):
        found.append(_refresh_tokens(delegation))
    if may("delegation_app.view_authorizationcode"):
        found.append(_codes(delegation))
    if delegation.grant_type == DEVICE_CODE and may("delegation_app.view_devicecode"):
        found.append(_device_codes(delegation))
    return found


def event_label(name: str) -> str | Promise:
    """Return the label of an event, or its name if it is no longer registered."""
    return REGISTRY[name].label if name in REGISTRY else name


def above(label: str) -> str:
    """Return the label of an event of an ancestor that also affected a delegation."""
    return gettext("%(event)s, above it") % {"event": label}


def _access_tokens(delegation: Delegation) -> Table:
    tokens = delegation.access_tokens.order_by("-issued_at", "-id")[:_TOKENS]
    return Table(
        _("Access tokens"),
        (_("token id"), _("state"), _("scope"), _("audience"), _("issued"), _("expires")),
        [
            (
                token.jti,
                _state(token, delegation, (token.revoked_at, _("revoked"))),
                token.scope,
                token.audience,
                token.issued_at,
                token.expires_at,
            )
            for token in tokens
        ],
        _TOKENS,
    )


def _refresh_tokens(delegation: Delegation) -> Table:
    tokens = delegation.refresh_tokens.order_by("-issued_at", "-id")[:_TOKENS]
    return _single_use(_("Refresh tokens"), _("rotated"), tokens, delegation)


def _codes(delegation: Delegation) -> Table:
    codes = delegation.codes.order_by("-issued_at", "-id")[:_TOKENS]
    return _single_use(_("Authorization codes"), _("redeemed"), codes, delegation)


def _device_codes(delegation: Delegation) -> Table:
    codes = delegation.device_codes.order_by("-issued_at", "-id")[:_TOKENS]
    return _single_use(_("Device codes"), _("redeemed"), codes, delegation)


def _single_use(
    heading: str | Promise,
    used: str | Promise,
    rows: Iterable[AuthorizationCode | DeviceCode | RefreshToken],
    delegation: Delegation,
) -> Table:
    return Table(
        heading,
        (_("digest begins"), _("state"), _("scope"), _("issued"), _("expires"), used),
        [
            (
                row.digest[:_DIGEST],
                _state(row, delegation, (row.consumed_at, used)),
                row.scope,
                row.issued_at,
                row.expires_at,
                row.consumed_at,
            )
            for row in rows
        ],
        _TOKENS,
    )


def _state(
    row: AccessToken | AuthorizationCode | DeviceCode | RefreshToken,
    delegation: Delegation,
    over: tuple[datetime | None, str | Promise],
) -> str | Promise:
    when, word = over
    if when is not None:
        return word
    if row.expires_at <= clock.now():
        return _("expired")
    if not delegation.is_in_force:  # type: ignore[attr-defined]  # annotated by the admin's queryset
        return _("ended with the delegation")
    return _("live")
