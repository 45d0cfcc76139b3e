"""Revocation of delegations. Token rows are untouched: their validity is the delegation's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Final, TypeVar
from uuid import UUID

from django.contrib.auth.models import AbstractBaseUser
from django.db.models import QuerySet

from delegation_app import clock
from delegation_app.events import DELEGATION_REVOKED
from delegation_app.models import (
    ConsentRecord,
    Delegation,
    DelegationBlock,
)
from delegation_app.services import audit, limits, outbox, transactions
from delegation_app.services.delegations import blocks, selection
from delegation_app.services.delegations.selection import Selection
from delegation_app.services.status_lists import cache
from delegation_app.services.transactions import part
from delegation_app.toolkit import Application

K = TypeVar("K", int, UUID)

# The reasons of revocations because of a replayed secret; pages have a text of their own for them
CODE_REPLAYED: Final = "code replayed"
REFRESH_TOKEN_REUSED: Final = "refresh token reused"  # noqa: S105 - a sentence

_RECORDED_COLUMNS: Final = (
    "public_id", "root_id", "parent_id", "path", "subject", "principal_client_id",
    "delegate_client_id", "scopes", "audience",
)  # fmt: skip


@part
def subtree(
    top: Delegation, origin: audit.RequestContext, *, reason: str, leaves_block: bool = True
) -> int:
    """Revoke a delegation and its descendants, and return how many were revoked.

    A revocation by a user or an operator blocks the pair of principal and delegate; see `blocks`. A
    second call changes nothing, records nothing and returns 0.

    Args:
        top: the delegation to revoke.
        origin: the revoking actor and the origin of the request.
        reason: a sentence for the record.
        leaves_block: False for a revocation that blocks nothing.

    Side effects: locks the root; one UPDATE of delegation rows, one audit event, one block; the
    signal `delegation_revoked` after the commit.
    """
    transactions.lock_root(top)
    ended = end_subtree(top, origin, reason=reason)
    if ended and leaves_block:
        blocks.store(_taken([top], origin), origin, reason=reason)
    return ended


def of_user(user: AbstractBaseUser, origin: audit.RequestContext, *, reason: str) -> int:
    """Revoke everything that a user has granted; see `revoke_selections`."""
    return revoke_selections([selection.of_user(user)], origin, reason=reason)


def of_client(
    application: Application,
    origin: audit.RequestContext,
    *,
    reason: str,
    leaves_block: bool = True,
) -> int:
    """Revoke everything that a client holds, and all below; see `revoke_selections`."""
    held = selection.of_client(application)
    return revoke_selections([held], origin, reason=reason, leaves_block=leaves_block)


def of_user_at_client(
    user: AbstractBaseUser, application: Application, origin: audit.RequestContext, *, reason: str
) -> int:
    """Revoke everything that a client holds for a user, and all below; see `revoke_selections`."""
    held = selection.of_user_at_client(user, application)
    return revoke_selections([held], origin, reason=reason)


def of_consent(
    consent: ConsentRecord, origin: audit.RequestContext, *, reason: str, leaves_block: bool = True
) -> int:
    """Revoke everything that rests on a consent; see `revoke_selections`."""
    granted = selection.of_consent(consent)
    return revoke_selections([granted], origin, reason=reason, leaves_block=leaves_block)


def revoke_delegations(
    delegations: Iterable[Delegation], origin: audit.RequestContext, *, reason: str
) -> int:
    """Revoke several delegations and all below them; see `revoke_selections`."""
    return revoke_selections(selection.in_batches(delegations), origin, reason=reason)


def revoke_selections(
    selections: Iterable[Selection],
    origin: audit.RequestContext,
    *,
    reason: str,
    leaves_block: bool = True,
) -> int:
    """Revoke several selections in one transaction, and return how many delegations were revoked.

    Args:
        selections: the delegations to revoke.
        origin: the revoking actor and the origin of the request.
        reason: a sentence for the record.
        leaves_block: False if nothing is blocked: a principal or delegate was deleted.

    Side effects: locks the roots, always in the same order; an UPDATE for every 500 delegation
    rows; for each topmost delegation an audit event, a block and, after the commit, the signal
    `delegation_revoked`. A selection that names its pair leaves one block, even if it is empty.
    """
    return _end_chosen(list(selections), origin, reason, leaves_block=leaves_block)


@part
def _end_chosen(
    selected: list[Selection], context: audit.RequestContext, reason: str, *, leaves_block: bool
) -> int:
    held = _hold_trees(selected)
    pairs = [one.pair for one in selected if one.pair is not None and leaves_block]
    if pairs:
        blocks.store(pairs, context, reason=reason)
        # No transaction can create a delegation from here on: revoke those created meanwhile, too
        held |= _hold_trees(selected)
    return sum(
        _end(selection, held, context, reason, leaves_block=leaves_block) for selection in selected
    )


def _end(
    selection: Selection,
    held: set[UUID],
    context: audit.RequestContext,
    reason: str,
    *,
    leaves_block: bool,
) -> int:
    # Only the columns of their events and blocks: there may be a hundred thousand rows
    found = selection.tops.order_by("pk").only(*_RECORDED_COLUMNS)
    # Read under the locks, so that the events match the revoked rows. A tree created meanwhile is
    # not locked: a part of it could grow while another part is revoked.
    tops = [top for top in found if top.root_id in held]
    if not tops:
        return 0
    ended = _end_held(selection, held, tops, context, reason)
    if leaves_block and selection.pair is None:
        blocks.store(_taken(tops, context), context, reason=reason)
    return ended


def _taken(tops: list[Delegation], context: audit.RequestContext) -> list[DelegationBlock]:
    return [
        blocks.of_revocation(top)
        for top in tops
        if blocks.leaves_block(context, top.delegate_client_id)
    ]


def _end_held(
    selection: Selection,
    held: set[UUID],
    tops: list[Delegation],
    context: audit.RequestContext,
    reason: str,
) -> int:
    paths = dict(_held_rows(selection, held))
    sizes = _sizes(paths.values(), tops)
    # By key: SQLite runs a subquery of an UPDATE during the update, and misses the descendants
    ended = sum(
        end_rows(Delegation.objects.filter(pk__in=some), context, reason)
        for some in _batches(paths)
    )
    audit.record_each(
        DELEGATION_REVOKED,
        context,
        ((top, {"delegations": sizes[top.path]}) for top in tops),
        reason=reason,
    )
    announce(tops, reason, sizes)
    return ended


def _held_rows(selection: Selection, held: set[UUID]) -> Iterator[tuple[int, str]]:
    for pk, root, path in selection.rows.values_list("pk", "root", "path").iterator():
        if root in held:
            yield pk, path


def _batches(keys: Iterable[K]) -> Iterator[list[K]]:
    rest = iter(keys)
    while some := list(islice(rest, limits.MAX_BATCH)):
        yield some


def _sizes(rows: Iterable[str], tops: list[Delegation]) -> Counter[str]:
    # One pass over the paths: a tree may have many tops
    paths = {top.path for top in tops}
    lengths = sorted({len(path) for path in paths})
    sizes: Counter[str] = Counter()
    for path in rows:
        sizes[next((path[:n] for n in lengths if path[:n] in paths), "")] += 1
    return sizes


def _hold_trees(selected: Iterable[Selection]) -> set[UUID]:
    roots = {
        root
        for selection in selected
        for root in selection.rows.values_list("root", flat=True).distinct().iterator()
    }
    held: set[UUID] = set()
    # All of them in one order, so that two revocations cannot deadlock
    for some in _batches(sorted(roots)):
        rows = Delegation.objects.filter(public_id__in=some).order_by("public_id")
        held.update(rows.select_for_update().values_list("public_id", flat=True))
    return held


def end_rows(rows: QuerySet[Delegation], origin: audit.RequestContext, reason: str) -> int:
    """Mark delegations as revoked, and return their number. One UPDATE."""
    return rows.update(
        revoked_at=clock.now(),
        revoked_by=audit.printable(origin.actor, 300) or "system",
        revocation_reason=audit.printable(reason, 255),
    )


def end_subtree(
    top: Delegation,
    origin: audit.RequestContext,
    *,
    reason: str,
    details: Mapping[str, Any] | None = None,
) -> int:
    """Revoke a delegation and its descendants; return how many were revoked now.

    Side effects: one UPDATE, one audit event, the signal `delegation_revoked` after the commit.
    Call it inside a transaction that holds the root.
    """
    ended = end_rows(selection.subtree(top).rows, origin, reason)
    if ended:
        audit.record(
            DELEGATION_REVOKED,
            origin,
            delegation=top,
            reason=reason,
            details={"delegations": ended, **(details or {})},
        )
        announce([top], reason, {top.path: ended})
    return ended


def announce(tops: Iterable[Delegation], reason: str, sizes: Mapping[str, int]) -> None:
    """Send `delegation_revoked` for each of `tops` after the commit, and renew status lists.

    Args:
        tops: the topmost revoked delegations.
        reason: the sentence for the record.
        sizes: the number of delegations that each revocation includes, by path.
    """
    outbox.revoked(((top.public_id, sizes[top.path]) for top in tops), reason)
    cache.changed()
