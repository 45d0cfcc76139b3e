"""Lifting a block with the approval of a second operator, since it restores access."""

from __future__ import annotations

from typing import Any, Final

from django.contrib.admin import ModelAdmin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from delegation_app.admin.proposals import pending_change
from delegation_app.models import DelegationBlock, ProposedChange
from delegation_app.services.audit import RequestContext
from delegation_app.services.clients.proposals import ProposedValues, Stale
from delegation_app.services.clients.snapshots import Diff
from delegation_app.services.delegations import blocks

_PERMISSION: Final = "delegation_app.lift_delegationblock"


def propose(
    page: ModelAdmin[Any], request: HttpRequest, block: DelegationBlock, *, reason: str, back: str
) -> HttpResponse:
    """Store the proposal to lift a block until another operator decides.

    Args:
        page: the admin of the current page.
        request: of the operator.
        block: the block.
        reason: for the second operator.
        back: the URL to redirect to.

    Side effects: those of `proposals.propose`.
    """
    pending_change.keep(page, request, wanted(block), reason=reason)
    return HttpResponseRedirect(back)


def wanted(block: DelegationBlock) -> ProposedValues:
    """Return the change that lifts a block."""
    bound = {
        "subject": block.subject,
        "client_id": block.client_id_value,
        "scopes": str(block.scopes),
        "audience": list(block.audience or ()),
    }
    return ProposedValues(
        kind=ProposedChange.Kind.BLOCK,
        change=ProposedChange.Change.LIFTED,
        key=str(block.pk),
        name=str(block),
        values=Diff(
            {"blocked": True, **{name: value for name, value in bound.items() if value}},
            {"blocked": False},
        ),
    )


def apply(acting: HttpRequest, proposal: ProposedChange, origin: RequestContext) -> None:
    """Lift it.

    Args:
        acting: a request of the operator who proposed it.
        proposal: what was approved.
        origin: the second operator.

    Raises:
        Stale: the proposer may not lift blocks any more, or it was lifted.

    Side effects: those of `blocks.lift`. Call it inside a transaction.
    """
    if not acting.user.has_perm(_PERMISSION):
        raise Stale("The operator who proposed this may not lift blocks any more.")
    block = DelegationBlock.objects.filter(pk=proposal.key).first()
    if block is None or not blocks.lift(block, origin, reason=proposal.reason):
        raise Stale("The block was lifted before.")
