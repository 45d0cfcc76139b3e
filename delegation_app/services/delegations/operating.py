"""What operators do to one delegation, or to all that a filter finds, some at a time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from delegation_app.models import Delegation
from delegation_app.protocol.errors import InvalidRequest
from delegation_app.services import audit
from delegation_app.services.delegations import (
    bulk,
    catalogue,
    creation,
    listing,
    revocation,
    selection,
)
from delegation_app.services.delegations.filters import DelegationFilter
from delegation_app.services.delegations.listing import Count
from delegation_app.services.delegations.narrowing import Narrowing
from delegation_app.services.delegations.preview import Preview, preview
from delegation_app.services.delegations.state import STANDING
from delegation_app.services.transactions import durable

# So many trees are locked together by one call
MOST_AT_ONCE: Final = 200


@dataclass(frozen=True, slots=True)
class RevocationOutlook:
    """What revoking all that a filter finds would do.

    Attributes:
        matching: how many it finds that have not ended, without those below them.
        newest: the key of the newest of them: what comes later is not meant; 0 for none.
        next: what the first call would end, everything below included.
    """

    matching: Count
    newest: int
    next: Preview


@dataclass(frozen=True, slots=True)
class Batch:
    """What one call did.

    Attributes:
        ended: how many delegations ended, those below others included.
        remaining: how many are left for further calls.
    """

    ended: int
    remaining: Count


def of_one(row: Delegation) -> Preview:
    """Return what revoking a delegation would stop. Reads only."""
    return preview([selection.subtree(row)])


@durable
def revoke_one(row: Delegation, origin: audit.RequestContext, *, reason: str) -> int:
    """Revoke a delegation and everything below it; see `revoke.subtree`."""
    return revocation.subtree(row, origin, reason=reason)


@durable
def narrow_one(
    row: Delegation, to: Narrowing, origin: audit.RequestContext, *, reason: str
) -> Delegation:
    """Narrow a delegation and everything below it; see `delegate.narrow`.

    Raises:
        InvalidRequest: nothing would change.
        InvalidConstraint: the constraints to add have nothing in common with those that it has.
    """
    unchanged = (to.scope in {None, row.scopes}, to.audience in {None, row.audience})
    is_same_end = to.expires_at in {None, row.expires_at}
    if (
        all(unchanged)
        and is_same_end
        and row.constraints.narrowed(to.constraints) == (row.constraints)
    ):
        raise InvalidRequest("This would change nothing.")
    return creation.narrow(row, to, origin, reason=reason)


def outlook(chosen: DelegationFilter, size: int) -> RevocationOutlook:
    """Return what revoking all that a filter finds would do. Reads only."""
    meant = _meant(chosen)
    task = bulk.begin(meant)
    first, matching = bulk.sample(
        task, size=size, most=catalogue.MOST_COUNTED, look=listing.fetch_full
    )
    keys = meant.rows(task.started_at).order_by("-pk").values_list("pk", flat=True)
    return RevocationOutlook(matching, keys.first() or 0, preview([first]))


def end_some(
    chosen: DelegationFilter, newest: int, origin: audit.RequestContext, *, reason: str, size: int
) -> Batch:
    """End some of what a filter finds, each with all below it; the next call goes on.

    It may stop after any call and be repeated at any time: what ended is not found again.

    Args:
        chosen: which.
        newest: as `outlook` told it: nothing that was opened later ends.
        origin: who ends it.
        reason: a sentence for the record.
        size: how many of those that the filter finds end at most.

    Side effects: those of `revoke.each`, in one transaction.
    """
    task = bulk.begin(replace(_meant(chosen), last_key=newest))
    # A look may find nothing without being at the end
    while not (task.ended or task.is_over):
        task = bulk.next_batch(task, origin, reason=reason, most=size)
    left = bulk.remaining(task, most=catalogue.MOST_COUNTED, look=listing.fetch_full)
    return Batch(task.ended, left)


def _meant(chosen: DelegationFilter) -> DelegationFilter:
    # What expired has no need to be ended, unless somebody asks for just that
    return replace(chosen, state=chosen.state or STANDING, unrevoked=True)
