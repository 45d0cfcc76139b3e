"""Ending all delegations of a filter, some at a time: to be interrupted and repeated at will.

Each batch is a transaction of its own. What ended drops out of the filter, so a batch that is
repeated ends nothing twice; what was issued after the start is left alone, unless it was made from
what ends.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from delegation_app import clock
from delegation_app.models import Delegation
from delegation_app.protocol.errors import InvalidRequest
from delegation_app.services import audit
from delegation_app.services.delegations import creation, listing, revocation, selection
from delegation_app.services.delegations.filters import DelegationFilter
from delegation_app.services.delegations.listing import Count, ListingPage, ListingPosition
from delegation_app.services.delegations.narrowing import Narrowing
from delegation_app.services.delegations.preview import Preview, preview
from delegation_app.services.delegations.selection import Selection
from delegation_app.services.delegations.state import NOT_ENDED
from delegation_app.services.transactions import durable

BATCH = 500
PREVIEWED: Final = 1000
# After so long no further batch is begun in one go
SECONDS = 2.0
_MICROSECOND: Final = timedelta(microseconds=1)
_Look = Callable[..., ListingPage]


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be ended, and how far that has come.

    Attributes:
        chosen: which delegations, as the operator saw them.
        started_at: nothing that was issued later is chosen.
        position: where to go on; None at the beginning.
        ended: how many ended so far, with what was made from them.
        is_over: whether all was looked at.
    """

    chosen: DelegationFilter
    started_at: datetime
    position: ListingPosition | None = None
    ended: int = 0
    is_over: bool = False


def begin(chosen: DelegationFilter) -> Task:
    """Return a task that ends what is chosen now. Nothing is written."""
    return Task(chosen, clock.now())


def advance(task: Task, origin: audit.RequestContext, *, reason: str) -> Task:
    """End batches until `SECONDS` have passed, at least one, and return how far that came.

    Args:
        task: from `begin`, or what the call before returned. An older one may be repeated.
        origin: who ends it.
        reason: a sentence for the record.

    Raises:
        RuntimeError: a transaction is open already; each batch has one of its own.

    Side effects: those of `revocation.revoke_selections`, for each batch.
    """
    until = time.monotonic() + SECONDS
    while not task.is_over:
        task = next_batch(task, origin, reason=reason, most=BATCH)
        if time.monotonic() >= until:
            break
    return task


def next_batch(task: Task, origin: audit.RequestContext, *, reason: str, most: int) -> Task:
    """End the next delegations, at most `most` with what was made from them; see `advance`."""
    # Oldest first: what was made from others ends with them, and is not looked at again
    stretch = _ahead(task, most, listing.fetch)
    keys = [place.pk for place in stretch.found]
    ended = _end(keys, origin, reason) if keys else 0
    over = stretch.goes_on is None
    return replace(task, position=stretch.goes_on, ended=task.ended + ended, is_over=over)


def remaining(task: Task, *, most: int = listing.COUNTED, look: _Look = listing.fetch) -> Count:
    """Return how many of the filter are left, as far as one look counts. Reads only.

    Args:
        task: which.
        most: counts no further.
        look: `listing.fetch_full` to count on where one look ends.
    """
    return Count(0, is_all=True) if task.is_over else _counted(_ahead(task, most, look))


def sample(
    task: Task, *, size: int = PREVIEWED, most: int = listing.COUNTED, look: _Look = listing.fetch
) -> tuple[Selection, Count]:
    """Return the first that would end, with what was made from them, and how many are left.

    Args:
        task: which.
        size: how many are the first.
        most, look: see `remaining`.
    """
    stretch = _ahead(task, most, look)
    keys = [place.pk for place in stretch.found[:size]]
    tops = Delegation.objects.filter(pk__in=keys).order_by()
    return selection.together(tops), _counted(stretch)


def _counted(stretch: ListingPage) -> Count:
    return Count(len(stretch.found), is_all=stretch.goes_on is None)


def _ahead(task: Task, most: int, look: _Look) -> ListingPage:
    return look(
        _standing(task), most=most, start=task.position, newest_first=False, now=task.started_at
    )


def _standing(task: Task) -> DelegationFilter:
    # What was issued at that very moment is meant too
    end, before = task.started_at + _MICROSECOND, task.chosen.issued_before
    end = end if before is None else min(before, end)
    return replace(task.chosen, issued_before=end, unrevoked=True)


@durable
def _end(keys: list[int], origin: audit.RequestContext, reason: str) -> int:
    return revocation.revoke_delegations(
        Delegation.objects.filter(pk__in=keys), origin, reason=reason
    )


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
    """Revoke a delegation and everything below it; see `revocation.subtree`."""
    return revocation.subtree(row, origin, reason=reason)


@durable
def narrow_one(
    row: Delegation, to: Narrowing, origin: audit.RequestContext, *, reason: str
) -> Delegation:
    """Narrow a delegation and everything below it; see `creation.narrow`.

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
    task = begin(meant)
    first, matching = sample(task, size=size, most=listing.MOST_COUNTED, look=listing.fetch_full)
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

    Side effects: those of `revocation.revoke_delegations`, in one transaction.
    """
    task = begin(replace(_meant(chosen), last_key=newest))
    # A look may find nothing without being at the end
    while not (task.ended or task.is_over):
        task = next_batch(task, origin, reason=reason, most=size)
    left = remaining(task, most=listing.MOST_COUNTED, look=listing.fetch_full)
    return Batch(task.ended, left)


def _meant(chosen: DelegationFilter) -> DelegationFilter:
    # What expired has no need to be ended, unless somebody asks for just that
    return replace(chosen, state=chosen.state or NOT_ENDED, unrevoked=True)
