"""How long a person lets an app act: what they may choose, and what is chosen for them at first."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from delegation_app.protocol import names
from delegation_app.protocol.errors import InvalidRequest
from delegation_app.services.clients.lookup import RegisteredClient

_HOUR: Final = 3600
_MONTH: Final = 30 * 24 * 3600
# What may be chosen instead of all the time that the client may have, in seconds
OFFERED: Final = (
    (_HOUR, _("one hour")),
    (24 * 3600, _("one day")),
    (_MONTH, _("30 days")),
)


def offered(client: RegisteredClient) -> list[tuple[int, Promise]]:
    """Return the times in seconds, with their names, that are shorter than the client's own."""
    longest = client.delegation_lifetime
    return [
        (seconds, label)
        for seconds, label in OFFERED
        if longest is None or timedelta(seconds=seconds) < longest
    ]


def first_choice(client: RegisteredClient) -> str:
    """Return the time that is chosen when the page opens; empty for all that the client may have.

    The shortest that makes sense: an app that can't refresh is done with its first token, and one
    that can would ask again all too soon with less than 30 days.
    """
    sensible = _MONTH if client.may_use(names.REFRESH_TOKEN) else _HOUR
    return str(sensible) if sensible in dict(offered(client)) else ""


def chosen(client: RegisteredClient, text: str | None) -> timedelta | None:
    """Return the time for which a person grants; None for no end.

    Args:
        client: who is granted something.
        text: one of `offered`, in seconds; None for as long as the client may.

    Raises:
        InvalidRequest: it is none of those that were offered.
    """
    if text is None:
        return client.delegation_lifetime
    for seconds, _label in offered(client):
        if text == str(seconds):
            return timedelta(seconds=seconds)
    raise InvalidRequest("The chosen time is none of those that were offered.")
