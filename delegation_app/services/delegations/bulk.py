"""Bulk revocation by filter, in batches that can be interrupted and repeated.

Each batch is a transaction of its own. Revoked delegations no longer match, so a repeated batch
revokes nothing twice. Delegations issued after the start are left alone, unless they descend from a
revoked one. The admin, the API and the command line all revoke this way.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from delegation_app import clock
from delegation_app.models import Delegation
from delegation_app.services import audit, limits
from delegation_app.services.delegations import creation, listing, revocation, selection
from delegation_app.services.delegations.filters import DelegationFilter
from delegation_app.services.delegations.listing import ListingPage
from delegation_app.services.delegations.narrowing import Narrowing
from delegation_app.services.delegations.selection import Preview, preview
from delegation_app.services.delegations.state import NOT_ENDED
from delegation_app.services.paging import Cursor, RowCount
from delegation_app.services.transactions import durable

# `advance` starts no further batch after this many seconds
SECONDS = 2.0
_MICROSECOND: Final = timedelta(microseconds=1)
_Fetch = Callable[..., ListingPage]


@dataclass(frozen=True, slots=True)
class Task:
    """A bulk revocation and its progress.

    Attributes:
        chosen: the filter.
        started_at: the start (UTC); delegations issued later are left alone.
        position: where the next batch starts; None at the beginning.
        ended: the number of delegations revoked so far, descendants included.
        is_over: whether the whole filter was read.
    """

    chosen: DelegationFilter
    started_at: datetime
    position: Cursor | None = None
    ended: int = 0
    is_over: bool = False


@dataclass(frozen=True, slots=True)
class RevocationOutlook:
    """What a task will do.

    Attributes:
        matching: the number of matching delegations that have not ended, without descendants.
        next: what the first of them revoke, descendants included.
    """

    matching: RowCount
    next: Preview


def begin(
    chosen: DelegationFilter, *, skips_expired: bool = False, last_key: int | None = None
) -> Task:
    """Return a task that revokes the delegations that match a filter now. Nothing is written.

    Args:
        chosen: the filter.
        skips_expired: whether expired delegations are left alone, unless the filter names a state.
        last_key: the key of the newest row to revoke; later rows are left alone.
    """
    state = chosen.state or (NOT_ENDED if skips_expired else "")
    now = clock.now()
    # Includes delegations issued at this very moment
    before = min(filter(None, (now + _MICROSECOND, chosen.issued_before)))
    bounded = replace(chosen, state=state, issued_before=before, unrevoked=True)
    return Task(bounded if last_key is None else replace(bounded, last_key=last_key), now)


def outlook(
    task: Task, *, size: int = limits.MAX_PREVIEWED, is_full: bool = False
) -> RevocationOutlook:
    """Return what a task will do. Reads only.

    Args:
        task: the task.
        size: the number of delegations in the preview.
        is_full: see `remaining`.
    """
    page = _ahead(task, is_full=is_full)
    keys = [place.key for place in page.found[:size]]
    tops = Delegation.objects.filter(pk__in=keys).order_by()
    return RevocationOutlook(page.count, preview([selection.combined(tops)]))


def remaining(task: Task, *, is_full: bool = False) -> RowCount:
    """Return how many delegations are left. Reads only.

    Args:
        task: the task.
        is_full: whether to read on until `MAX_COUNT` are counted, however rare matches are.
    """
    return RowCount(0, is_all=True) if task.is_over else _ahead(task, is_full=is_full).count


def newest_key(task: Task) -> int:
    """Return the key of the newest delegation of a task; 0 if there is none."""
    keys = task.chosen.rows(task.started_at).order_by("-pk").values_list("pk", flat=True)
    return keys.first() or 0


def batches(
    task: Task, origin: audit.RequestContext, *, reason: str, size: int | None = None
) -> Iterator[Task]:
    """Revoke in batches, at least one, and yield the progress after each.

    Args:
        task: from `begin`, or one that was yielded. An older one may be repeated.
        origin: the revoking actor and the origin of the request.
        reason: a sentence for the record.
        size: the maximum of matching delegations per batch.

    Raises:
        RuntimeError: a transaction is open already.

    Side effects: those of `revocation.revoke_delegations`, for each batch.
    """
    while not task.is_over:
        task = next_batch(task, origin, reason=reason, size=size or limits.MAX_BATCH)
        yield task


def advance(task: Task, origin: audit.RequestContext, *, reason: str) -> Task:
    """Revoke batches until `SECONDS` have passed, at least one; see `batches`."""
    until = time.monotonic() + SECONDS
    for after in batches(task, origin, reason=reason):
        task = after
        if time.monotonic() >= until:
            break
    return task


def revoke_some(task: Task, origin: audit.RequestContext, *, reason: str, size: int) -> Task:
    """Revoke batches until one has revoked something or none is left; see `batches`."""
    # A part of the table without a match is not the end of a rare filter
    for after in batches(task, origin, reason=reason, size=size):
        task = after
        if task.ended:
            break
    return task


def next_batch(task: Task, origin: audit.RequestContext, *, reason: str, size: int) -> Task:
    """Revoke the next delegations, at most `size`, and their descendants; see `batches`."""
    # Oldest first: descendants end with their ancestors, and are not read again
    page = _fetch(listing.fetch, task, size)
    keys = [place.key for place in page.found]
    ended = task.ended + (_revoke(keys, origin, reason) if keys else 0)
    return replace(task, position=page.next_cursor, ended=ended, is_over=page.next_cursor is None)


@durable
def revoke_one(row: Delegation, origin: audit.RequestContext, *, reason: str) -> int:
    """Revoke a delegation and its descendants; see `revocation.subtree`."""
    return revocation.subtree(row, origin, reason=reason)


@durable
def narrow_one(
    row: Delegation, to: Narrowing, origin: audit.RequestContext, *, reason: str
) -> Delegation:
    """Narrow a delegation and its descendants; see `creation.narrow`.

    Raises:
        InvalidRequest: nothing would change.
        InvalidConstraint: the added constraints contradict those of the delegation.
    """
    to.require_change(row)
    return creation.narrow(row, to, origin, reason=reason)


@durable
def _revoke(keys: list[int], context: audit.RequestContext, reason: str) -> int:
    rows = Delegation.objects.filter(pk__in=keys)
    return revocation.revoke_delegations(rows, context, reason=reason)


def _ahead(task: Task, *, is_full: bool) -> ListingPage:
    return _fetch(listing.fetch_full if is_full else listing.fetch, task, limits.MAX_COUNT)


def _fetch(fetch: _Fetch, task: Task, most: int) -> ListingPage:
    return fetch(
        task.chosen, most=most, start=task.position, newest_first=False, now=task.started_at
    )
