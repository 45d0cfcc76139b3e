"""The resource servers and clients to which authority may be delegated onward (RFC 8693)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q

from delegation_app.conf import conf
from delegation_app.models import ClientPolicy, ResourceServer
from delegation_app.protocol import names
from delegation_app.protocol.audience import Audience
from delegation_app.protocol.constraints import AccessContext, Constraints, EnforcementPoint
from delegation_app.protocol.scope import Scope


@dataclass(frozen=True, slots=True)
class ReachableServer:
    """A resource server that may be reached from another one, and its distance."""

    name: str
    identifier: str
    steps: int


@dataclass(frozen=True, slots=True)
class Onward:
    """Where authority may be delegated onward, and by which clients.

    Attributes:
        targets: the resource servers, nearest first.
        clients: the client ids of those that may exchange a token on the way.
    """

    targets: list[ReachableServer]
    clients: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Step:
    """The clients that may exchange the tokens of the previous step.

    Attributes:
        clients: their client ids.
        named: the client ids that `may_act` names in their own tokens.
        servers: the active resource servers that their policies list.
    """

    clients: frozenset[str]
    named: frozenset[str]
    servers: list[ResourceServer]


def onward(
    scope: Scope, audience: Audience, constraints: Constraints, now: datetime, *, may_act: str = ""
) -> Onward:
    """Return where the authority may be delegated onward, and by which clients. Reads only.

    The app itself cannot extend its reach by exchange; the resource servers that get its tokens
    can, and so can the client that its policy names.

    Args:
        scope: the requested scope; a resource server without any of it is out of reach.
        audience: the resource servers of the app's own tokens.
        constraints: the constraints, of which `resource_servers` and `max_depth` apply.
        now: the time of the judgement (UTC).
        may_act: the client id that `may_act` names in the app's tokens; empty for none.

    Side effects: two statements for each step, until nothing new is found.
    """
    found: list[ReachableServer] = []
    clients: frozenset[str] = frozenset()
    seen, last, named = set(audience), set(audience), {may_act} - {""}
    for steps in range(1, conf.max_depth + 1):
        if not (last or named) or not _permits(constraints, "max_depth", now, audience):
            break
        step = _next(last, named)
        known = [row for row in step.servers if row.scopes & scope]
        permitted = [
            row
            for row in known
            if _permits(constraints, "resource_servers", now, Audience([row.identifier]))
        ]
        new = [row for row in permitted if row.identifier not in seen]
        found += [ReachableServer(row.name, row.identifier, steps) for row in new]
        last = {row.identifier for row in new}
        named = set(step.named - clients)
        # A client without a permitted target delegates nothing onward
        if permitted:
            clients |= step.clients
        seen |= last
        constraints = constraints.for_child()
    return Onward(found, clients)


def _permits(constraints: Constraints, kind: str, now: datetime, audience: Audience) -> bool:
    limit = constraints.get(kind)
    return (
        limit is None
        or limit.refusal(AccessContext(EnforcementPoint.HAND_ON, now, audience=audience)) is None
    )


def _next(identifiers: Iterable[str], named: Iterable[str]) -> _Step:
    # A client that represents a resource server may exchange its tokens, if the policy allows it
    speaks = Q(application__introspectable_resource_servers__identifier__in=list(identifiers))
    # RFC 8693 section 4.4: so may the client that the token names, wherever the token is valid
    is_named = Q(application__client_id__in=list(named))
    rows = ClientPolicy.objects.filter(speaks | is_named, enabled=True).distinct()
    able = [
        (key, client_id, may_act)
        for key, client_id, may_act, grants in rows.values_list(
            "pk", "application__client_id", "may_act", "grants"
        )
        if names.TOKEN_EXCHANGE in grants
    ]
    if not able:
        return _Step(frozenset(), frozenset(), [])
    servers = ResourceServer.objects.filter(
        active=True, client_policies__in=[pk for pk, *_ in able]
    )
    return _Step(
        frozenset(client_id for _pk, client_id, _named in able),
        frozenset(may_act for _pk, _client_id, may_act in able if may_act),
        list(servers.distinct().order_by("name", "identifier")),
    )
