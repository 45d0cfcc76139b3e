"""Facts about several connections, each in one statement for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Address
from typing import Any, Final
from uuid import UUID

from django.db.models import Count, OuterRef, QuerySet, Subquery

from delegation_app import clock
from delegation_app.events import (
    TOKEN_EXCHANGED,
    TOKEN_IMPERSONATED,
    TOKEN_ISSUED,
    TOKEN_REFRESH_RETRIED,
    TOKEN_REFRESHED,
    TOKEN_REISSUED,
)
from delegation_app.models import AccessToken, AuditEvent, Delegation
from delegation_app.models.validity import in_force
from delegation_app.protocol.requests.addresses import parse_address

_TOKEN_EVENTS: Final = [
    event.name
    for event in (
        TOKEN_ISSUED,
        TOKEN_REISSUED,
        TOKEN_REFRESHED,
        TOKEN_REFRESH_RETRIED,
        TOKEN_EXCHANGED,
        TOKEN_IMPERSONATED,
    )
]


@dataclass(frozen=True, slots=True)
class LastRequest:
    """A token request: its time and its network; empty if unknown."""

    when: datetime | None
    origin: str


def live_tokens(rows: Sequence[Delegation]) -> dict[UUID, int]:
    """Return the number of live access tokens of each delegation and its descendants. Reads only.

    One statement for all roots, and one for each other delegation.
    """
    now = clock.now()
    good = AccessToken.objects.filter(
        in_force(now, "delegation__"), revoked_at=None, expires_at__gt=now
    ).order_by()
    found = _by_root(good, "delegation__root", rows)
    for row in _children(rows):
        below = {
            "delegation__root__public_id": row.root_id,
            "delegation__path__startswith": row.path,
        }
        found[row.public_id] = good.filter(**below).count()
    return found


def passed_on(rows: Sequence[Delegation]) -> dict[UUID, int]:
    """Return the number of live descendants of each delegation; see `live_tokens`."""
    below = Delegation.objects.live().filter(parent__isnull=False).order_by()
    found = _by_root(below, "root", rows)
    for row in _children(rows):
        found[row.public_id] = Delegation.objects.live().subtree(row).exclude(pk=row.pk).count()
    return found


def last_requests(keys: Sequence[int]) -> dict[int, LastRequest]:
    """Return the last token request of each delegation, by its key, in two statements. Reads only.

    The newest token is one index entry, and its audit event has the address. To find the newest
    event of a delegation, all of its events would be read.
    """
    newest = AccessToken.objects.filter(delegation=OuterRef("pk")).order_by("-pk")
    jti, issued = (Subquery(newest.values(name)[:1]) for name in ("jti", "issued_at"))
    rows = Delegation.objects.filter(pk__in=keys).order_by()
    tokens = [row for row in rows.values_list("pk", jti, issued) if row[1]]
    events = AuditEvent.objects.filter(
        jti__in=[jti for _key, jti, _issued in tokens], event__in=_TOKEN_EVENTS
    ).order_by()
    addresses = dict(events.values_list("jti", "ip_address"))
    return {key: LastRequest(when, coarse(addresses.get(jti))) for key, jti, when in tokens}


def coarse(address: Any) -> str:
    """Return the network of an address as text: /16, for IPv6 /32; empty for None.

    This identifies a provider or a country, but not a household.
    """
    found = parse_address(str(address)) if address else None
    if found is None:
        return ""
    if isinstance(found, IPv4Address):
        first, second, *_rest = found.exploded.split(".")
        return f"{first}.{second}.x.x"
    number = int(found)
    return f"{number >> 112:x}:{(number >> 96) & 0xFFFF:x}:x"


def _by_root(found: QuerySet[Any], root: str, rows: Sequence[Delegation]) -> dict[UUID, int]:
    roots = [row.public_id for row in rows if row.parent_id is None]
    if not roots:
        return {}
    of_these = found.filter(**{f"{root}__public_id__in": roots})
    return dict(of_these.values_list(root).annotate(Count("pk")))


def _children(rows: Sequence[Delegation]) -> list[Delegation]:
    return [row for row in rows if row.parent_id is not None]
