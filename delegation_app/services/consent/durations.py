"""How long a user lets an app act: what is offered, and what is preselected."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from delegation_app.protocol import names
from delegation_app.protocol.errors import InvalidRequest
from delegation_app.services.clients.registered_client import RegisteredClient

_HOUR: Final = 3600
_WEEK: Final = 7 * 24 * 3600
_MONTH: Final = 30 * 24 * 3600
# How long a connection may last instead of its whole lifetime, in seconds
LIFETIMES: Final = (
    (_HOUR, _("one hour")),
    (24 * 3600, _("one day")),
    (_WEEK, _("one week")),
    (_MONTH, _("30 days")),
)


def offered(client: RegisteredClient) -> list[tuple[int, Promise]]:
    """Return what a consent screen offers, in seconds: what is shorter than the client's own."""
    longest = client.delegation_lifetime
    return [
        (seconds, label)
        for seconds, label in LIFETIMES
        if seconds != _WEEK and (longest is None or timedelta(seconds=seconds) < longest)
    ]


def preselected(client: RegisteredClient) -> str:
    """Return the preselected lifetime; empty for the client's own.

    An app that cannot refresh is done with its first token; one that can would prompt too soon
    again with less than 30 days.
    """
    sensible = _MONTH if client.may_use(names.REFRESH_TOKEN) else _HOUR
    return str(sensible) if sensible in dict(offered(client)) else ""


def selected(client: RegisteredClient, text: str | None) -> timedelta | None:
    """Return the lifetime that a user has selected; None for no end.

    Args:
        client: the client that is granted something.
        text: one of `offered`, in seconds; None for the client's own.

    Raises:
        InvalidRequest: it was not offered.
    """
    if text is None:
        return client.delegation_lifetime
    for seconds, _label in offered(client):
        if text == str(seconds):
            return timedelta(seconds=seconds)
    raise InvalidRequest("Choose one of the offered durations.")
