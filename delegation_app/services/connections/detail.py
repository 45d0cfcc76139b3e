"""One connection in full: its consent, its tree and its timeline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.contrib.auth.models import AbstractBaseUser

from delegation_app import clock
from delegation_app.models import ConsentRecord, Delegation, RefreshToken
from delegation_app.models.validity import in_force
from delegation_app.services import name_search
from delegation_app.services.connections import facts, listing, timeline
from delegation_app.services.connections.listing import Connection
from delegation_app.services.connections.timeline import ConnectionEventLine
from delegation_app.services.consent.history import descriptions
from delegation_app.services.consent.request import ON_A_DEVICE
from delegation_app.services.delegations import tree
from delegation_app.services.delegations.state import state
from delegation_app.services.delegations.tree import TreeNode

# A tree may have any width: the highest levels and live delegations come first
MAX_NODES: Final = 100


@dataclass(slots=True)
class ConnectionTreeNode:
    """One delegation of a tree, with its children."""

    key: str
    app: str
    state: Delegation.State
    scopes: list[str]
    services: list[str]
    is_current: bool
    children: list[ConnectionTreeNode]


@dataclass(frozen=True, slots=True)
class ConnectionConsent:
    """The consent of a connection.

    Attributes:
        was_asked: whether there was a consent screen; False for apps that the site trusts.
        on_a_device: whether the device flow was used.
        when, origin: the time and the network of the answer.
        granted, refused: scopes with the site's descriptions; both together were requested.
    """

    was_asked: bool
    on_a_device: bool
    when: datetime
    origin: str
    granted: list[tuple[str, str]]
    refused: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class ConnectionDetail:
    """One connection with its tree and its timeline.

    Attributes:
        connection: the connection as in a list.
        passed_on_by: the app of its parent; empty for a root.
        root: the public id of the root.
        limits: its constraints in words.
        answer: the consent; None without a record.
        tree: the root, with its descendants.
        is_cut: whether a part of the tree is left out.
        past: the timeline, newest first.
        ended_by, why: the name of the actor who ended it, and the reason if the user may read it.
        renews_until: the end of token refresh; None if the app cannot refresh.
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
    """Return all about one connection, in a fixed number of statements. Reads only.

    Args:
        person: the user of the connection.
        row: a delegation from `listing.owned`.
    """
    whole = tree.top(row, listing.with_clients(Delegation.objects.all()), MAX_NODES)
    apps = {each.delegate_client_id: listing.app_name(each) for each in whole.rows}
    by_key = {each.pk: each for each in whole.rows}
    services = name_search.service_names(name for each in whole.rows for name in each.audience)
    parent = by_key.get(row.parent_id)
    words = timeline.Wording(person, apps)
    below = [each for each in whole.rows if each.path.startswith(row.path)]
    (connection,) = listing.described([row])
    return ConnectionDetail(
        connection=connection,
        passed_on_by="" if parent is None else listing.app_name(parent),
        root=str(row.root_id),
        limits=row.constraints.describe(),
        answer=_answer(row.consent),
        tree=_nested(whole.nested(), row, services),
        is_cut=whole.is_cut,
        past=timeline.past(row, below, words),
        ended_by=words.who(row.revoked_by) if row.revoked_at else "",
        why=words.reason(row.revoked_by, row.revocation_reason),
        renews_until=_renews_until(row),
    )


def _nested(node: TreeNode, current: Any, services: Mapping[str, str]) -> ConnectionTreeNode:
    row = node.row
    return ConnectionTreeNode(
        key=str(row.public_id),
        app=listing.app_name(row),
        state=state(row),
        scopes=[description for _name, description in descriptions(row.scopes)],
        services=[services.get(name, name) for name in row.audience],
        is_current=row.pk == current.pk,
        children=[_nested(child, current, services) for child in node.children],
    )


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
