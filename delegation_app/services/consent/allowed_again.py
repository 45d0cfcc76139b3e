"""Blocks that a later answer of the user has overcome, for operators who read of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice
from typing import Final

from django.db.models import Exists, OuterRef, QuerySet

from delegation_app import clock
from delegation_app.models import ConsentRecord, DelegationBlock

_BATCH: Final = 500


def times(
    found: Iterable[DelegationBlock], *, subject: str = "", client_id: str = ""
) -> dict[int, datetime]:
    """Return when the user allowed on a page all that a block binds, by the key of the block.

    A block that is not in it still binds. What a block of everything binds is allowed again by a
    page on which the user left nothing out.

    Args:
        found: the blocks.
        subject, client_id: the pair by which those are judged that name no principal or no client;
            without it they are left out.

    Side effects: none; one statement, or none without blocks.
    """
    pairs = {
        block: (block.subject or subject, block.client_id_value or client_id) for block in found
    }
    named = {block: pair for block, pair in pairs.items() if all(pair)}
    if not named:
        return {}
    rows = ConsentRecord.objects.standing(clock.now()).filter(
        subject__in={one for one, _client in named.values()},
        client_id_value__in={one for _subject, one in named.values()},
        decided_at__gt=min(block.blocked_at for block in named),
    )
    answers = defaultdict(list)
    for row in rows.defer("shown").order_by("decided_at", "pk"):
        answers[row.subject, row.client_id_value].append(row)
    judged = ((block.pk, _time(block, answers[pair])) for block, pair in named.items())
    return {key: time for key, time in judged if time is not None}


def keys(rows: QuerySet[DelegationBlock]) -> Iterator[int]:
    """Return the keys of those blocks that are overcome; see `times`.

    Side effects: none; one statement for every 500 blocks of a pair that has a later answer.
    """
    later = ConsentRecord.objects.standing(clock.now()).filter(
        subject=OuterRef("subject"),
        client_id_value=OuterRef("client_id_value"),
        decided_at__gt=OuterRef("blocked_at"),
    )
    rest = rows.filter(Exists(later)).iterator(_BATCH)
    while some := list(islice(rest, _BATCH)):
        yield from times(some)


def _time(block: DelegationBlock, answers: Iterable[ConsentRecord]) -> datetime | None:
    missing = {(name, place) for name in block.scopes for place in block.audience or ()}
    for one in answers:
        if one.decided_at <= block.blocked_at:
            continue
        missing -= {(name, place) for name in one.scopes_granted for place in one.audience}
        is_allowed = not one.scopes_refused if block.everything else not missing
        if is_allowed:
            return one.decided_at
    return None
