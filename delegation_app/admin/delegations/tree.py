"""Where a delegation stands in its tree: what it was made from, and what was made from it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from django.db.models import Exists, F, OuterRef, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _

from delegation_app.admin import labels
from delegation_app.admin.base import BoundedPaginator, ReadOnlyAdmin
from delegation_app.admin.delegations import summary
from delegation_app.models import Delegation
from delegation_app.services.delegations import state

CHILDREN: Final = 50
_NAMED: Final = ("principal_user", "principal_client", "delegate")


@dataclass(frozen=True, slots=True)
class Node:
    """One delegation, in the line that the tree has for it.

    Attributes:
        label: its client, as a link to its page.
        client: the name of its client.
        url: the address of its page.
        whose: whose authority it is, in words.
        state: how it stands.
        scopes, audience: what it allows, and where.
        is_current: whether it is the one whose page this is.
        goes_on: whether something was made from it that is not shown here.
    """

    label: str
    client: str
    url: str
    whose: str
    state: Delegation.State
    scopes: str
    audience: str
    is_current: bool = False
    goes_on: bool = False

    @property
    def state_word(self) -> str:
        """The state in one word."""
        return summary.state_word(self.state)


@dataclass(frozen=True, slots=True)
class Tree:
    """The way from the root down to a delegation, and the first of its children.

    Attributes:
        chain: from the root to the delegation itself.
        children: the first of them, those that have not ended before the others.
        below: how many there are on all levels below it.
        is_cut: whether there may be more below than were counted.
        more: how many children are not shown.
        children_url: the list of all its children.
        tree_url: the list of the whole tree.
    """

    chain: list[Node]
    children: list[Node]
    below: int
    is_cut: bool
    more: int
    children_url: str
    tree_url: str

    @property
    def is_part(self) -> bool:
        """Whether there is more of the tree than itself."""
        return len(self.chain) > 1 or self.below > 0


def of(page: ReadOnlyAdmin, request: HttpRequest, delegation: Delegation) -> Tree:
    """Return the tree around a delegation, in a number of queries that does not grow with it."""
    rows = page.get_queryset(request).select_related(
        "principal_user", "principal_client", "delegate"
    )
    above = list(rows.filter(public_id__in=delegation.chain[:-1]).order_by("depth"))
    further = Exists(Delegation.objects.filter(parent=OuterRef("pk")))
    in_order = (F("revoked_at").asc(nulls_first=True), "-issued_at", "-pk")
    made = Delegation.objects.filter(parent=delegation)
    listed = rows.filter(parent=delegation).annotate(goes_on=further).order_by(*in_order)
    children = list(listed[:CHILDREN])
    more = _count(made) - CHILDREN if len(children) == CHILDREN else 0
    below = _count(Delegation.objects.subtree(delegation).exclude(pk=delegation.pk))
    services = labels.of_services(_identifiers([*above, delegation, *children]))

    def node(row: Delegation) -> Node:
        return Node(
            label=labels.link(page.admin_site, request, row, _client(row)),
            client=_client(row),
            url=labels.address(page.admin_site, request, row),
            whose=_whose(row),
            state=state.state(row),
            scopes=", ".join(row.scopes) or _("nothing"),
            audience=labels.listed(row.audience, services) or _("no service"),
            is_current=row.pk == delegation.pk,
            goes_on=getattr(row, "goes_on", False),
        )

    return Tree(
        chain=[node(row) for row in (*above, delegation)],
        children=[node(row) for row in children],
        below=below,
        is_cut=below >= BoundedPaginator.MOST,
        more=max(more, 0),
        children_url=_list(page, parent=delegation.public_id),
        tree_url=_list(page, root=delegation.root_id),
    )


def _count(rows: QuerySet[Delegation]) -> int:
    # In no order: a count must not sort what it counts
    return rows.order_by()[: BoundedPaginator.MOST].count()


def _identifiers(rows: Iterable[Delegation]) -> list[str]:
    return [identifier for row in rows for identifier in row.audience]


def _client(row: Delegation) -> str:
    return labels.of_client(row.delegate, row.delegate_client_id)


def _whose(row: Delegation) -> str:
    if summary.acts_for_itself(row):
        return _("for itself")
    return _("for %(who)s") % {"who": summary.principal(row)}


def _list(page: ReadOnlyAdmin, **query: object) -> str:
    return f"{page.url('changelist')}?{urlencode(query)}"
