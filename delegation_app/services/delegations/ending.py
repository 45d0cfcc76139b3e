"""How delegations end: one UPDATE, one event, one signal. Locks and blocks are the caller's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.db.models import QuerySet

from delegation_app import clock
from delegation_app.events import DELEGATION_REVOKED
from delegation_app.models import Delegation
from delegation_app.services import audit, outbox
from delegation_app.services.delegations import selection
from delegation_app.services.status_lists import cache


def end_rows(rows: QuerySet[Delegation], origin: audit.RequestContext, reason: str) -> int:
    """Mark delegations as revoked, and return how many there were. One UPDATE."""
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
    """End a delegation and everything below it; return how many ended, 0 if all had before.

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
        tops: what was revoked by itself.
        reason: the sentence for the record.
        sizes: how many delegations ended with each, by path.
    """
    outbox.revoked(((top.public_id, sizes[top.path]) for top in tops), reason)
    cache.changed()
