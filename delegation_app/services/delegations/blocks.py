"""What was taken stays taken: the facts about a pair of principal and delegate.

What a person or an operator takes is recorded here in the transaction that takes it. Whatever
lets the delegate have authority cuts it by the blocks of the pair: the look at earlier consents,
the creation of a delegation, and the use of one that is found by its terms. A block binds until
the user allows the authority on a page that was shown later and says so, or an operator lifts it.
What a client gives back by itself leaves no block.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Self
from uuid import uuid4

from django.db.models import Q, QuerySet

from delegation_app import clock
from delegation_app.events import BLOCK_LIFTED
from delegation_app.models import ConsentRecord, Delegation, DelegationBlock
from delegation_app.protocol.audience import Audience
from delegation_app.protocol.claims import client_subject
from delegation_app.protocol.constraints import Constraints, InvalidConstraint
from delegation_app.protocol.scope import Scope
from delegation_app.services import audit, limits
from delegation_app.services.transactions import advisory_lock, nested


@dataclass(frozen=True, slots=True)
class Authority:
    """What a delegation allows, or would.

    Attributes:
        scope, audience, constraints: what for, where, within which limits.
        expires_at: when it ends; None for no end.
    """

    scope: Scope
    audience: Audience
    constraints: Constraints = Constraints()
    expires_at: datetime | None = None

    @classmethod
    def of(cls, row: Delegation) -> Self:
        """Return what a delegation allows now."""
        return cls(row.scopes, row.audience, row.constraints, row.expires_at)


def of_pair(
    subject: str, client_id: str, *, since: datetime | None = None
) -> list[DelegationBlock]:
    """Return the blocks that bind a pair, the oldest first. One statement, reads only.

    Args:
        subject: the principal.
        client_id: of the delegate.
        since: when the person allowed on a page what is asked about now (UTC): blocks before that
            moment do not bind it. None if no page was answered.
    """
    rows = DelegationBlock.objects.active().of_pair(subject, client_id)
    if since is not None:
        rows = rows.filter(blocked_at__gte=since)
    return list(rows.order_by("pk"))


def beside(block: DelegationBlock) -> QuerySet[DelegationBlock]:
    """Return the further blocks of the pair of a block, the oldest first."""
    rows = DelegationBlock.objects.active().exclude(pk=block.pk)
    if block.subject:
        rows = rows.filter(subject__in=("", block.subject))
    if block.client_id_value:
        rows = rows.filter(client_id_value__in=("", block.client_id_value))
    return rows.order_by("pk")


def of_clients(subject: str, client_ids: Iterable[str]) -> list[DelegationBlock]:
    """Return the blocks of several clients for one principal, the oldest first.

    One statement, reads only; none without clients.
    """
    clients = list(client_ids)
    if not clients:
        return []
    rows = DelegationBlock.objects.active().filter(
        subject__in=("", subject), client_id_value__in=("", *clients)
    )
    return list(rows.order_by("pk"))


def of_child(row: Delegation, client_id: str, authority: Authority) -> list[DelegationBlock]:
    """Return the blocks that bind what is passed on to a client, the oldest first.

    The user answers the app at the root, not the client that gets a part of it. A block of that
    client is overcome by pages of the app that said so, as far as they reached and were allowed; a
    block of the app itself by the answer that the root stands on.

    Args:
        row: the child, or the parent that it is made from.
        client_id: of the child's delegate.
        authority: what the child holds or shall hold.

    Side effects: none; one statement, and two more where a block is older than the answer.
    """
    found, allowed_at = of_pair(row.subject, client_id), row.allowed_at
    # No page was answered
    if allowed_at is None or row.consent_id is None:
        return found
    older = [block for block in found if block.blocked_at < allowed_at]
    if not older:
        return found
    answer = ConsentRecord.objects.defer("shown").get(pk=row.consent_id)
    app, first = answer.client_id_value, min(block.blocked_at for block in older)
    # What the app itself gets on its own tokens stands on its own page
    own = [Authority(answer.scopes_granted, answer.audience)] if app == client_id else []
    back = {} if own else given_back(row.subject, app, since=first, until=allowed_at)
    left: list[DelegationBlock] = []
    for block in found:
        again = own or back.get((client_id, str(block.public_id)), [])
        left += rest(block, again, authority) if block in older else [block]
    return left


def given_back(
    subject: str, client_id: str, *, since: datetime, until: datetime | None = None
) -> dict[tuple[str, str], list[Authority]]:
    """Return what pages of an app have said to come back, and the user has allowed.

    An answer that was withdrawn or has run out gives nothing back. One statement, reads only.

    Args:
        subject: the user.
        client_id: of the app.
        since, until: the times of the answers (UTC); None for up to now.

    Returns:
        By client id and public id of each block: what each answer allowed, where its page reached.
    """
    rows = ConsentRecord.objects.effective(clock.now()).filter(
        subject=subject, client_id_value=client_id, decided_at__gte=since
    )
    if until is not None:
        rows = rows.filter(decided_at__lte=until)
    found: dict[tuple[str, str], list[Authority]] = defaultdict(list)
    kept = rows.values_list("shown__restores", "shown__reach", "scopes_granted", "audience")
    for marks, reach, scopes, audience in kept:
        # Older records do not say how far their page reached
        allowed = Authority(scopes, audience if reach is None else Audience(reach))
        for name, block in marks or ():
            found[name, block].append(allowed)
    return found


def rest(
    block: DelegationBlock, back: Iterable[Authority], authority: Authority
) -> list[DelegationBlock]:
    """Return what a block still binds beside what was given back, one block for each place.

    Args:
        block: the block; itself where nothing of it was given back.
        back: what was given back.
        authority: what is judged; of a block of everything, the rest within it is returned.
    """
    bound = authority if block.everything else Authority(block.scopes, block.audience)
    part = [one for one in back if one.scope & bound.scope and one.audience & bound.audience]
    if not part:
        return [block]
    left = []
    for place in bound.audience:
        given = Scope(name for one in part if place in one.audience for name in one.scope)
        if still := bound.scope - given:
            piece = copy(block)
            piece.everything, piece.scopes, piece.audience = False, still, Audience([place])
            left.append(piece)
    return left


def touches(block: DelegationBlock, authority: Authority) -> bool:
    """Whether a block binds any of an authority."""
    if block.everything:
        return True
    return bool(block.scopes & authority.scope and block.audience & authority.audience)


def cut(
    authority: Authority, blocks: Iterable[DelegationBlock], now: datetime | None = None
) -> Authority | None:
    """Return what blocks leave of an authority; None for nothing.

    Args:
        authority: what would be granted.
        blocks: those that bind it.
        now: the time to judge by (UTC); the present if left out.
    """
    now = now or clock.now()
    left: Authority | None = authority
    for block in blocks:
        if left is not None and touches(block, left):
            left = _cut_by(block, left, now)
    return left


def _cut_by(block: DelegationBlock, authority: Authority, now: datetime) -> Authority | None:
    if not block.is_limit or (block.ends_at is not None and block.ends_at <= now):
        return _without(block, authority)
    try:
        constraints = authority.constraints.narrowed(block.constraints)
    except InvalidConstraint:
        return _without(block, authority)
    ends = [end for end in (authority.expires_at, block.ends_at) if end is not None]
    return replace(authority, constraints=constraints, expires_at=min(ends, default=None))


def _without(block: DelegationBlock, authority: Authority) -> Authority | None:
    """Return the authority without what a block binds.

    Authority is each scope at each resource server. Where a part of the scopes is bound at a part
    of the resource servers, one of the two has to go: the scopes, if others are left.
    """
    if block.everything:
        return None
    if scope := authority.scope - block.scopes:
        return replace(authority, scope=scope)
    if audience := authority.audience - block.audience:
        return replace(authority, audience=audience)
    return None


def binding(authority: Authority, blocks: Sequence[DelegationBlock]) -> list[DelegationBlock]:
    """Return those blocks that bind any of an authority."""
    return [block for block in blocks if touches(block, authority)]


def leaves_block(origin: audit.RequestContext, client_id: str) -> bool:
    """Whether what ends now was taken: not by the client that gives its own back."""
    return origin.actor != client_subject(client_id)


def of_revocation(row: Delegation) -> DelegationBlock:
    """Return the block that the revocation of a delegation leaves, not stored yet."""
    # A client that acts for itself has no page to ask on: it is stopped until an operator lifts it.
    return DelegationBlock(
        cause=DelegationBlock.Cause.REVOKED,
        subject=row.subject,
        client_id_value=row.delegate_client_id,
        everything=row.principal_client_id is not None and row.parent_id is None,
        scopes=row.scopes,
        audience=row.audience,
        delegation=row,
    )


def of_narrowing(before: Authority, row: Delegation, limits: Constraints) -> list[DelegationBlock]:
    """Return the blocks that a narrowing leaves, not stored yet.

    Args:
        before: what the delegation allowed.
        row: the delegation as it is now.
        limits: the constraints that were added.
    """
    bound: list[dict[str, Any]] = [
        {"scopes": before.scope - row.scopes, "audience": before.audience},
        {"scopes": row.scopes, "audience": before.audience - row.audience},
    ]
    if limits or row.expires_at != before.expires_at:
        ends = row.expires_at if row.expires_at != before.expires_at else None
        limited = {"scopes": row.scopes, "audience": row.audience}
        bound.append({**limited, "constraints": limits, "ends_at": ends})
    return [
        DelegationBlock(
            cause=DelegationBlock.Cause.NARROWED,
            subject=row.subject,
            client_id_value=row.delegate_client_id,
            delegation=row,
            **what,
        )
        for what in bound
        if what["scopes"] and what["audience"]
    ]


def of_everything(subject: str, client_id: str) -> DelegationBlock:
    """Return the block of all that a pair may have, not stored yet; empty for all there are."""
    return DelegationBlock(
        cause=DelegationBlock.Cause.REVOKED,
        subject=subject,
        client_id_value=client_id,
        everything=True,
    )


def of_withdrawal(consent: ConsentRecord) -> DelegationBlock:
    """Return the block that the withdrawal of a consent leaves, not stored yet."""
    return DelegationBlock(
        cause=DelegationBlock.Cause.WITHDRAWN,
        subject=consent.subject,
        client_id_value=consent.client_id_value,
        scopes=consent.scopes_granted,
        audience=consent.audience,
        consent=consent,
    )


def store(blocks: Iterable[DelegationBlock], origin: audit.RequestContext, *, reason: str) -> None:
    """Store blocks; the event of what took the authority is recorded by the caller.

    Side effects: waits for whoever creates delegations of these pairs, one statement, one INSERT
    for every 500. Call it inside a transaction that holds the roots concerned.
    """
    # Copies: a selection can be revoked again, and the database may ask for another try
    rows = [copy(block) for block in blocks]
    if not rows:
        return
    advisory_lock(*{_lock_name(row.subject, row.client_id_value) for row in rows})
    # After the wait: what the person allowed meanwhile was allowed before this
    now = clock.now()
    for row in rows:
        row.pk, row.public_id = None, uuid4()
        row.blocked_at = now
        row.blocked_by = audit.printable(origin.actor, 300) or "system"
        row.reason = audit.printable(reason, 255)
    DelegationBlock.objects.bulk_create(rows, batch_size=limits.MAX_BATCH)


def hold_pair(subject: str, client_id: str, *alone: str) -> None:
    """Wait for whoever takes something from a pair, and keep them waiting until the commit.

    Args:
        subject, client_id: the pair.
        alone: names that this transaction holds alone, in the same statement.
    """
    shared = (_lock_name(subject, ""), _lock_name("", client_id))
    advisory_lock(*alone, shared=shared)


def lift(block: DelegationBlock, origin: audit.RequestContext, *, reason: str) -> bool:
    """Let a pair have again what a block binds; return whether this call did it.

    What the block has cut already stays as it is; the next request opens a delegation of its own.

    Side effects: one row, the terms of the delegations that the pair finds by them, one audit
    event.
    """
    with nested():
        lifted = DelegationBlock.objects.active().filter(pk=block.pk)
        actor = audit.printable(origin.actor, 300) or "system"
        said = {"lifted_by": actor, "lift_reason": audit.printable(reason, 255)}
        if not lifted.update(lifted_at=clock.now(), **said):
            return False
        _forget_terms(block)
        audit.record(
            BLOCK_LIFTED,
            origin,
            delegation=block.delegation,
            consent=block.consent,
            subject=block.subject,
            client_id=block.client_id_value,
            reason=reason,
            details=as_details(block),
        )
    return True


def lift_all(subject: str, client_id: str, origin: audit.RequestContext, *, reason: str) -> int:
    """Lift every block that names exactly this pair; return how many there were. See `lift`."""
    with nested():
        rows = DelegationBlock.objects.active()
        found = list(rows.filter(subject=subject, client_id_value=client_id).order_by("pk"))
        return sum(lift(block, origin, reason=reason) for block in found)


def as_details(block: DelegationBlock) -> dict[str, Any]:
    """Return what a block binds, for the audit trail."""
    return {
        "block": str(block.public_id),
        "everything": block.everything,
        "scope": str(block.scopes),
        "audience": list(block.audience or ()),
        "constraints": block.constraints.as_json(),
        "expires_at": None if block.ends_at is None else block.ends_at.isoformat(),
    }


def _forget_terms(block: DelegationBlock) -> None:
    # Those that were cut would be found again, and nothing would have come back
    rows = Delegation.objects.filter(revoked_at=None).filter(
        Q(parent__isnull=False) | Q(principal_client__isnull=False)
    )
    pair = {"subject": block.subject, "delegate_client_id": block.client_id_value}
    rows.filter(**{name: value for name, value in pair.items() if value}).update(terms_digest="")


def _lock_name(subject: str, client_id: str) -> str:
    # Whoever takes holds alone the smallest name that every creator of such a pair shares
    return f"blocks of subject {subject}" if subject else f"blocks of client {client_id}"
