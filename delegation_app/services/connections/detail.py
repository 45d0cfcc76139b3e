"""One connection in full: its answer, its tree, and what happened to it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from django.contrib.auth.models import AbstractBaseUser
from django.db.models import F

from delegation_app import clock
from delegation_app.models import ConsentRecord, Delegation, RefreshToken
from delegation_app.models.validity import in_force
from delegation_app.services.connections import facts, listing, timeline
from delegation_app.services.connections.listing import Connection
from delegation_app.services.connections.timeline import ConnectionEventLine
from delegation_app.services.consent.history import descriptions
from delegation_app.services.consent.request import ON_A_DEVICE
from delegation_app.services.delegations.state import state

# A tree is as wide as services like; what stands highest and has not ended is shown
NODES: Final = 100


@dataclass(slots=True)
class ConnectionTreeNode:
    """One delegation of a tree, with those made from it."""

    key: str
    app: str
    state: Delegation.State
    scopes: list[str]
    services: list[str]
    is_current: bool
    children: list[ConnectionTreeNode] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ConnectionConsent:
    """What the person was asked, and said.

    Attributes:
        was_asked: not so for apps that the site trusts.
        on_a_device: it was asked beside a device that showed a code.
        when, origin: when, and from which network.
        granted, refused: scopes with the site's descriptions; together they were asked for.
    """

    was_asked: bool
    on_a_device: bool
    when: datetime
    origin: str
    granted: list[tuple[str, str]]
    refused: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class ConnectionDetail:
    """One connection and all around it.

    Attributes:
        connection: it, as in a list.
        passed_on_by: the app that it was made from; empty for one that the person opened.
        root: the key of the one that the person opened.
        limits: its constraints in words.
        answer: None if there is no record of one.
        tree: from the root down.
        is_cut: whether there is more of the tree.
        past: what happened, newest first.
        ended_by, why: who ended it, in words, and their reason if the person may read it.
        renews_until: until when its app can fetch tokens without asking; None if it can't.
    """

    connection: Connection
    passed_on_by: str
    root: str
    limits: list[str]
    answer: ConnectionConsent | None
    tree: ConnectionTreeNode
    is_cut: bool
    past: list[ConnectionEventLine]
    ended_by: str
    why: str
    renews_until: datetime | None


def load(person: AbstractBaseUser, row: Any) -> ConnectionDetail:
    """Return one connection in full, in a number of statements that does not grow. Reads only.

    Args:
        person: whose it is.
        row: a delegation from `listing.owned`.
    """
    rows, is_cut = _tree(row)
    apps = {node.delegate_client_id: listing.app_name(node) for node in rows}
    by_key = {node.pk: node for node in rows}
    parent = by_key.get(row.parent_id)
    words = timeline.Words(person, apps)
    below = [node for node in rows if node.path.startswith(row.path)]
    (connection,) = listing.described([row])
    return ConnectionDetail(
        connection=connection,
        passed_on_by="" if parent is None else listing.app_name(parent),
        root=str(row.root_id),
        limits=row.constraints.describe(),
        answer=_answer(row.consent),
        tree=_nested(rows, row),
        is_cut=is_cut,
        past=timeline.past(row, below, words),
        ended_by=words.who(row.revoked_by) if row.revoked_at else "",
        why=words.reason(row.revoked_by, row.revocation_reason),
        renews_until=_renews_until(row),
    )


def _tree(row: Any) -> tuple[list[Any], bool]:
    everything = Delegation.objects.filter(root=row.root_id)
    in_order = ("depth", F("revoked_at").asc(nulls_first=True), "-issued_at", "-pk")
    found = list(listing.with_clients(everything).order_by(*in_order)[: NODES + 1])
    is_cut, found = len(found) > NODES, found[:NODES]
    if all(node.pk != row.pk for node in found):
        # Its own way down is always shown
        known = {node.pk for node in found}
        chain = listing.with_clients(everything.filter(public_id__in=row.chain))
        found += [node for node in chain.order_by("depth") if node.pk not in known]
    return found, is_cut


def _nested(rows: Sequence[Any], current: Any) -> ConnectionTreeNode:
    services = facts.service_names(_identifiers(rows))
    nodes: dict[int, ConnectionTreeNode] = {}
    waiting: dict[int, list[ConnectionTreeNode]] = defaultdict(list)
    for row in rows:
        nodes[row.pk] = ConnectionTreeNode(
            key=str(row.public_id),
            app=listing.app_name(row),
            state=state(row),
            scopes=[description for _name, description in descriptions(row.scopes)],
            services=[services.get(name, name) for name in row.audience],
            is_current=row.pk == current.pk,
            children=waiting[row.pk],
        )
        if row.parent_id is not None:
            waiting[row.parent_id].append(nodes[row.pk])
    return nodes[rows[0].pk]


def _identifiers(rows: Iterable[Any]) -> Iterable[str]:
    return (identifier for row in rows for identifier in row.audience)


def _answer(consent: ConsentRecord | None) -> ConnectionConsent | None:
    if consent is None:
        return None
    return ConnectionConsent(
        was_asked=consent.decision != ConsentRecord.Decision.TRUSTED,
        on_a_device=consent.redirect_host == ON_A_DEVICE,
        when=consent.decided_at,
        origin=facts.coarse(consent.ip_address),
        granted=descriptions(consent.scopes_granted),
        refused=descriptions(consent.scopes_refused),
    )


def _renews_until(row: Delegation) -> datetime | None:
    now = clock.now()
    usable = RefreshToken.objects.filter(
        in_force(now, "delegation__"), delegation=row, consumed_at=None, expires_at__gt=now
    )
    return usable.order_by("-expires_at").values_list("expires_at", flat=True).first()
