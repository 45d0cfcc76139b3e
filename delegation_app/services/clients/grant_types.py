"""The supported grant types, and their labels."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from delegation_app.protocol import names

LABELS: Final[dict[str, Promise]] = {
    names.AUTHORIZATION_CODE: _("Authorization code"),
    names.CLIENT_CREDENTIALS: _("Client credentials"),
    names.REFRESH_TOKEN: _("Refresh token"),
    names.DEVICE_CODE: _("Device code"),
    names.TOKEN_EXCHANGE: _("Token exchange"),
}


def label(grant_type: str) -> str:
    """Return the label of a grant type; one without a label goes by its identifier."""
    return str(LABELS.get(grant_type, grant_type))


def choices(stored: Iterable[str] = ()) -> list[tuple[str, str]]:
    """Return the grant types to choose from, with those of `stored`, so that none is lost."""
    return [(name, label(name)) for name in dict.fromkeys((*LABELS, *stored))]
