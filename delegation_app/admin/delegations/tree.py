"""The tree of a delegation: its ancestors and its children."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from django.http import HttpRequest
from django.utils.translation import gettext as _

from delegation_app.admin import labels
from delegation_app.admin.base import ReadOnlyAdmin
from delegation_app.admin.delegations import summary
from delegation_app.models import Delegation
from delegation_app.services import name_search
from delegation_app.services.delegations import state, tree

CHILDREN: Final = 50
_NAMED: Final = ("principal_user", "principal_client", "delegate")


@dataclass(frozen=True, slots=True)
class Node:
    """One delegation of the tree.

    Attributes:
        label: its client, as a link to its page.
        client: the name of its client.
        url: the address of its page.
        whose: the name of its principal.
        state: its state.
        scopes, audience: its terms.
        is_current: whether it is the delegation of the page.
        goes_on: whether it has hidden children.
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
    """The chain from the root to a delegation, and some of its children.

    Attributes:
        chain: from the root to the delegation itself.
        children: the first ones, unrevoked ones before the others.
        below: the number of descendants.
        is_cut: whether there are more descendants than that.
        more: the number of hidden children.
        children_url: of the list of all children.
        tree_url: of the list of the whole tree.
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
        """Whether the tree has another delegation."""
        return len(self.chain) > 1 or self.below > 0


def of(page: ReadOnlyAdmin, request: HttpRequest, delegation: Delegation) -> Tree:
    """Return the tree around a delegation, in a fixed number of statements."""
    rows = page.get_queryset(request).select_related(*_NAMED)
    found = tree.around(delegation, rows, CHILDREN)
    read = [*found.above, delegation, *found.children]
    services = name_search.service_names(name for row in read for name in row.audience)

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
            goes_on=getattr(row, "has_children", False),
        )

    return Tree(
        chain=[node(row) for row in (*found.above, delegation)],
        children=[node(row) for row in found.children],
        below=found.below.count,
        is_cut=found.below.has_more,
        more=max(found.more, 0),
        children_url=_list(page, parent=delegation.public_id),
        tree_url=_list(page, root=delegation.root_id),
    )


def _client(row: Delegation) -> str:
    return labels.of_client(row.delegate, row.delegate_client_id)


def _whose(row: Delegation) -> str:
    if summary.acts_for_itself(row):
        return _("for itself")
    return _("for %(who)s") % {"who": summary.principal(row)}


def _list(page: ReadOnlyAdmin, **query: object) -> str:
    return f"{page.url('changelist')}?{urlencode(query)}"
