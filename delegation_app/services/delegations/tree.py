"""Reading trees of delegations: a whole tree, its upper part, or the surroundings of one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from django.db.models import Exists, F, OuterRef, QuerySet

from delegation_app.models import Delegation
from delegation_app.services import limits
from delegation_app.services.paging import RowCount

# Unrevoked delegations first, then the newest
_ORDER: Final = (F("revoked_at").asc(nulls_first=True), "-issued_at", "-pk")


@dataclass(slots=True)
class TreeNode:
    """A delegation with those of its children that were read."""

    row: Any
    children: list[TreeNode] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class DelegationTree:
    """A tree.

    Attributes:
        rows: the delegations, parents before children.
        is_cut: whether there are more.
    """

    rows: Sequence[Any]
    is_cut: bool = False

    def nested(self) -> TreeNode:
        """Return the root with its descendants."""
        nodes = {row.pk: TreeNode(row) for row in self.rows}
        for row in self.rows[1:]:
            nodes[row.parent_id].children.append(nodes[row.pk])
        return nodes[self.rows[0].pk]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The ancestors and descendants of a delegation.

    Attributes:
        above: its ancestors, root first.
        children: its first children; `has_children` marks those with children of their own.
        more: the number of omitted children.
        below: the number of descendants on all levels.
    """

    above: list[Any]
    children: list[Any]
    more: int
    below: RowCount


def whole(row: Delegation, rows: QuerySet[Any]) -> DelegationTree:
    """Return the tree of a delegation, however large. One statement.

    Args:
        row: a delegation of the tree.
        rows: delegations with the required relations.
    """
    return DelegationTree(list(rows.filter(root=row.root_id).order_by("path")))


def top(row: Delegation, rows: QuerySet[Any], most: int) -> DelegationTree:
    """Return the upper part of the tree of a delegation, and the path down to it.

    At most two statements.

    Args:
        row, rows: see `whole`.
        most: the maximum of delegations besides those on the path.
    """
    tree = rows.filter(root=row.root_id)
    found = list(tree.order_by("depth", *_ORDER)[: most + 1])
    is_cut, found = len(found) > most, found[:most]
    known = {each.pk for each in found}
    if row.pk not in known:
        chain = tree.filter(public_id__in=row.chain).order_by("depth")
        found += [each for each in chain if each.pk not in known]
    return DelegationTree(found, is_cut)


def around(row: Delegation, rows: QuerySet[Any], most: int) -> Surroundings:
    """Return the surroundings of a delegation. At most four statements.

    Args:
        row, rows: see `whole`.
        most: the maximum of children.
    """
    above = list(rows.filter(public_id__in=row.chain[:-1]).order_by("depth"))
    further = Exists(Delegation.objects.filter(parent=OuterRef("pk")))
    children = rows.filter(parent=row).annotate(has_children=further).order_by(*_ORDER)[:most]
    shown = list(children)
    made = Delegation.objects.filter(parent=row)
    more = RowCount.of(made, limits.MAX_COUNT).count - most if len(shown) == most else 0
    below = Delegation.objects.subtree(row).exclude(pk=row.pk)
    return Surroundings(above, shown, more, RowCount.of(below, limits.MAX_COUNT))
