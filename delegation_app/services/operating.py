"""What operators do to one delegation, or to all that a filter finds, some at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from django.db.models import QuerySet

from delegation_app.models import Delegation
from delegation_app.protocol.errors import InvalidRequest
from delegation_app.services import audit, catalogue, delegate, revoke, selections
from delegation_app.services.catalogue import Count, Wanted
from delegation_app.services.narrowing import Narrowing
from delegation_app.services.preview import Preview, preview
from delegation_app.services.states import not_over
from delegation_app.services.transactions import own

# So many trees are locked together by one call
MOST_AT_ONCE: Final = 200


@dataclass(frozen=True, slots=True)
class Outlook:
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
    return preview([selections.subtree(row)])


@own
def revoke_one(row: Delegation, origin: audit.Origin, *, reason: str, bar: bool) -> int:
    """Revoke a delegation and everything below it; see `revoke.subtree`."""
    return revoke.subtree(row, origin, reason=reason, bar=bar)


@own
def narrow_one(row: Delegation, to: Narrowing, origin: audit.Origin, *, reason: str) -> Delegation:
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
    return delegate.narrow(row, to, origin, reason=reason)


def outlook(wanted: Wanted, size: int) -> Outlook:
    """Return what revoking all that a filter finds would do. Reads only, and bounded."""
    rows = _meant(wanted)
    newest = rows.order_by("-pk").values_list("pk", flat=True).first() or 0
    first = _first(rows, size)
    return Outlook(catalogue.counted(rows), newest, preview(selections.each(first)))


@own
def end_some(wanted: Wanted, newest: int, origin: audit.Origin, *, reason: str, size: int) -> Batch:
    """End some of what a filter finds, each with all below it; the next call goes on.

    It may stop after any call and be repeated at any time: what ended is not found again.

    Args:
        wanted: which.
        newest: as `outlook` told it: nothing that was opened later ends.
        origin: who ends it.
        reason: a sentence for the record.
        size: how many of those that the filter finds end at most.

    Side effects: those of `revoke.each`.
    """
    rows = _meant(wanted).filter(pk__lte=newest)
    ended = revoke.each(_first(rows, size), origin, reason=reason)
    return Batch(ended, catalogue.counted(rows))


def _meant(wanted: Wanted) -> QuerySet[Delegation]:
    rows = catalogue.filtered(wanted)
    # What expired has no need to be ended, unless somebody asks for just that
    return rows.filter(revoked_at=None) if wanted.state is not None else not_over(rows)


def _first(rows: QuerySet[Any], size: int) -> list[Any]:
    # The oldest: what is above comes before what was made from it
    return list(rows.order_by("pk")[:size])
