"""Revoking many delegations: some at a time, each in a transaction of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

from delegation_app.management.console.output import Progress
from delegation_app.models import Delegation
from delegation_app.services.audit import RequestContext
from delegation_app.services.delegations import revocation, selection
from delegation_app.services.delegations.preview import Preview, preview

BATCH: Final = 500


def what_ends(rows: Iterable[Delegation]) -> Preview | None:
    """Return what revoking these would end; None for more than are looked at beforehand."""
    some = list(islice(rows, BATCH + 1))
    return preview(selection.each(some)) if len(some) <= BATCH else None


def end(
    rows: Iterable[Delegation], origin: RequestContext, reason: str, progress: Progress
) -> Iterator[int]:
    """Revoke `rows` with what is below them, and yield how many ended with each 500.

    It may be stopped between any two, and be begun again: what has ended is passed by.

    Side effects: for each 500 a transaction; see `revocation.revoke_delegations`.
    """
    done, rest = 0, iter(rows)
    while some := list(islice(rest, BATCH)):
        ended = revocation.revoke_delegations(some, origin, reason=reason)
        done += len(some)
        progress.at(done)
        yield ended
    progress.close()
