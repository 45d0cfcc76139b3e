"""Requests that wait for a user, kept on the server; bounded, since any visitor can cause one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv6Address, IPv6Network
from typing import Any, Final

from django.db.models import Q, QuerySet

from delegation_app import clock
from delegation_app.conf import conf
from delegation_app.models import PendingRequest
from delegation_app.protocol.requests.addresses import parse_address
from delegation_app.protocol.secrets import digest, new_secret
from delegation_app.services.transactions import durable

Kind = PendingRequest.RequestKind

# A sign-in may take a registration, a mail and a second factor
_TIME_TO_SIGN_IN: Final = timedelta(hours=1)
# A user with more open pages of a kind has lost track of them
_PER_USER: Final = 8
# Before the sign-in: from one network, and for one client. A /64 is one subscriber of IPv6.
_PER_NETWORK: Final = 50
_PER_CLIENT: Final = 2000
_SUBSCRIBER: Final = 64


@dataclass(frozen=True, slots=True)
class Waiter:
    """The browser and the user that a request waits for.

    Attributes:
        browser: the secret of the browser's cookie.
        subject: the user; empty before the sign-in.
        ip: the address, None if unknown.
    """

    browser: str
    subject: str
    ip: str | None


@dataclass(frozen=True, slots=True)
class Pending:
    """A request as it was kept; `subject` is empty before the sign-in."""

    handle: str
    kind: str
    subject: str
    content: dict[str, Any]
    kept_at: datetime


def lifetime() -> timedelta:
    """Return how long a request is kept: longer than its page may be answered.

    A page that was open for too long leads back to its request.
    """
    return conf.authorization_request_lifetime + _TIME_TO_SIGN_IN


@durable
def keep(kind: Kind, content: Mapping[str, Any], *, client_id: str, waiter: Waiter) -> str | None:
    """Store a request, and return the handle under which its browser finds it again.

    Args:
        kind: what it waits for.
        content: JSON members.
        client_id: the requesting client.
        waiter: the browser and the user.

    Returns:
        None without a user, if this network or client has reached its maximum of rows.

    Side effects: one row; drops expired rows and all but the newest of this user.
    """
    network, now = _network(waiter.ip), clock.now()
    _purge(kind, waiter.subject, now)
    if not waiter.subject and _is_full(network, client_id):
        return None
    handle = new_secret()
    PendingRequest.objects.create(
        digest=digest(handle),
        browser=digest(waiter.browser),
        kind=kind,
        subject=waiter.subject,
        client_id_value=client_id,
        network=network,
        content=dict(content),
        kept_at=now,
        expires_at=now + lifetime(),
    )
    return handle


def find(handle: str, browser: str) -> Pending | None:
    """Return the request that this browser has under a handle, or None. Reads only."""
    rows = PendingRequest.objects.filter(digest=digest(handle), browser=digest(browser))
    row = rows.filter(expires_at__gt=clock.now()).first()
    if row is None:
        return None
    return Pending(handle, row.kind, row.subject, row.content, row.kept_at)


def claim(handle: str, subject: str) -> None:
    """Count a request for the user who signed in, and no longer for the network and client."""
    PendingRequest.objects.filter(digest=digest(handle), subject="").update(subject=subject)


def replace(handle: str) -> None:
    """Accept no further answers under this handle, which a newer page replaces. It leads back."""
    PendingRequest.objects.filter(digest=digest(handle)).update(kind=Kind.REQUEST)


def _purge(kind: Kind, subject: str, now: datetime) -> None:
    gone = Q(expires_at__lte=now)
    if subject:
        newest = PendingRequest.objects.filter(subject=subject, kind=kind).order_by("-pk")
        gone |= Q(pk__in=newest.values("pk")[_PER_USER - 1 :])
    PendingRequest.objects.filter(gone).delete()


def _is_full(network: str, client_id: str) -> bool:
    anonymous = PendingRequest.objects.filter(subject="")
    if network and _reaches(anonymous.filter(network=network), _PER_NETWORK):
        return True
    return _reaches(anonymous.filter(client_id_value=client_id), _PER_CLIENT)


def _reaches(rows: QuerySet[PendingRequest], most: int) -> bool:
    return rows[:most].count() == most


def _network(ip: str | None) -> str:
    address = parse_address(ip or "")
    if isinstance(address, IPv6Address):
        return str(IPv6Network((int(address), _SUBSCRIBER), strict=False))
    return str(address or "")
