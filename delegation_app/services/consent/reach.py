"""To whom the services that get a token may pass the authority on (RFC 8693)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from delegation_app.conf import conf
from delegation_app.models import ClientPolicy, ResourceServer
from delegation_app.protocol import names
from delegation_app.protocol.audience import Audience
from delegation_app.protocol.constraints import Access, Constraints, Moment
from delegation_app.protocol.scope import Scope


@dataclass(frozen=True, slots=True)
class Reach:
    """A resource server that may be reached from another one, and how far away it is."""

    name: str
    identifier: str
    steps: int


def targets(
    scope: Scope, audience: Audience, constraints: Constraints, now: datetime
) -> list[Reach]:
    """Return where the authority may be passed on to, the nearest first. Reads only.

    The app itself can't extend its reach by exchange; those can to whom its tokens are sent.

    Args:
        scope: what is asked for; a server that knows nothing of it is out of reach.
        audience: where the app's own tokens are valid.
        constraints: `resource_servers` and `max_depth` of these are looked at.
        now: the time to judge by.

    Side effects: one statement for each step, until nothing new is found.
    """
    found: list[Reach] = []
    seen, last = set(audience), set(audience)
    for steps in range(1, conf.max_depth + 1):
        if not last or not _permits(constraints, "max_depth", now, Audience(last)):
            break
        rows = [row for row in _next(last) if row.identifier not in seen and row.scopes & scope]
        hop = [
            Reach(row.name, row.identifier, steps)
            for row in rows
            if _permits(constraints, "resource_servers", now, Audience([row.identifier]))
        ]
        found += hop
        last = {reach.identifier for reach in hop}
        seen |= last
        constraints = constraints.handed_on()
    return found


def _permits(constraints: Constraints, kind: str, now: datetime, audience: Audience) -> bool:
    limit = constraints.get(kind)
    return limit is None or limit.refusal(Access(Moment.HAND_ON, now, audience=audience)) is None


def _next(identifiers: Iterable[str]) -> list[ResourceServer]:
    # Who speaks for a server that got a token may exchange it, if its policy says so
    policies = ClientPolicy.objects.filter(
        enabled=True,
        application__introspectable_resource_servers__identifier__in=list(identifiers),
    )
    allowed = policies.values_list("pk", "grants")
    able = [key for key, grants in allowed if names.TOKEN_EXCHANGE in grants]
    if not able:
        return []
    rows = ResourceServer.objects.filter(active=True, client_policies__in=able)
    return list(rows.distinct().order_by("name", "identifier"))
