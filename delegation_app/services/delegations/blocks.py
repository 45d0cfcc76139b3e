"""Blocks: authority of a principal and delegate that a user or an operator has revoked or limited.

A block is stored in the transaction that revokes or narrows. It cuts everything that gives the
delegate authority: earlier consents, new delegations, and the reuse of delegations by their terms.
A block binds until the user allows the authority again on a later screen that lists it, or an
operator lifts it. A revocation by the client itself leaves no block.
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
    """What a delegation allows, or would allow.

    Attributes:
        scope, audience, constraints: the permitted scopes, resource servers and limits.
        expires_at: its end (UTC); None for no end.
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
    """Return the blocks that bind a pair, oldest first. One statement, reads only.

    Args:
        subject: the principal.
        client_id: the client id of the delegate.
        since: the time of the user's answer (UTC), which overcomes earlier blocks. None without an
            answer.
    """
    rows = DelegationBlock.objects.active().of_pair(subject, client_id)
    if since is not None:
        rows = rows.filter(blocked_at__gte=since)
    return list(rows.order_by("pk"))


def beside(block: DelegationBlock) -> QuerySet[DelegationBlock]:
    """Return the other blocks of a block's pair, oldest first."""
    rows = DelegationBlock.objects.active().exclude(pk=block.pk)
    if block.subject:
        rows = rows.filter(subject__in=("", block.subject))
    if block.client_id_value:
        rows = rows.filter(client_id_value__in=("", block.client_id_value))
    return rows.order_by("pk")


def of_clients(subject: str, client_ids: Iterable[str]) -> list[DelegationBlock]:
    """Return the blocks of several clients for one principal, oldest first.

    One statement, reads only; no statement without clients.
    """
    clients = list(client_ids)
    if not clients:
        return []
    rows = DelegationBlock.objects.active().filter(
        subject__in=("", subject), client_id_value__in=("", *clients)
    )
    return list(rows.order_by("pk"))


def of_child(row: Delegation, client_id: str, authority: Authority) -> list[DelegationBlock]:
    """Return the blocks that bind a child delegation, oldest first.

    The user answers the app at the root, not the client of the child. A screen of the app that
    listed a block of the child's client overcomes it, within what the user allowed and the screen's
    reach. The answer behind the root overcomes a block of the app itself.

    Args:
        row: the child, or its parent.
        client_id: the client id of the child's delegate.
        authority: the authority of the child.

    Side effects: none; one statement, and two more where a block is older than the answer.
    """
    found, allowed_at = of_pair(row.subject, client_id), row.allowed_at
    # No screen was answered
    if allowed_at is None or row.consent_id is None:
        return found
    older = [block for block in found if block.blocked_at < allowed_at]
    if not older:
        return found
    answer = ConsentRecord.objects.defer("shown").get(pk=row.consent_id)
    app, first = answer.client_id_value, min(block.blocked_at for block in older)
    # A delegation to the app itself rests on the app's own screen
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
    """Return what the screens of an app listed as regranted and the user allowed.

    A withdrawn or expired answer regrants nothing. One statement, reads only.

    Args:
        subject: the user.
        client_id: the client id of the app.
        since, until: the times of the answers (UTC); no upper bound for None.

    Returns:
        By client id and public id of each block: what each answer allowed within its reach.
    """
    rows = ConsentRecord.objects.effective(clock.now()).filter(
        subject=subject, client_id_value=client_id, decided_at__gte=since
    )
    if until is not None:
        rows = rows.filter(decided_at__lte=until)
    found: dict[tuple[str, str], list[Authority]] = defaultdict(list)
    kept = rows.values_list("shown__restores", "shown__reach", "scopes_granted", "audience")
    for marks, reach, scopes, audience in kept:
        # Older records have no reach
        allowed = Authority(scopes, audience if reach is None else Audience(reach))
        for name, block in marks or ():
            found[name, block].append(allowed)
    return found


def rest(
    block: DelegationBlock, back: Iterable[Authority], authority: Authority
) -> list[DelegationBlock]:
    """Return what a block still binds after a regrant, as one block per resource server.

    Args:
        block: the block, which is returned itself if nothing of it was regranted.
        back: the regranted authority.
        authority: the authority under judgement, which bounds a block of everything.
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
        authority: the authority to be granted.
        blocks: the blocks that bind it.
        now: the time of the judgement (UTC); the present by default.
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
    # Authority is each scope at each resource server. Where some scopes are blocked at some of the
    # resource servers, the scopes go; if no other scope is left, the resource servers go.
    if block.everything:
        return None
    if scope := authority.scope - block.scopes:
        return replace(authority, scope=scope)
    if audience := authority.audience - block.audience:
        return replace(authority, audience=audience)
    return None


def binding(authority: Authority, blocks: Sequence[DelegationBlock]) -> list[DelegationBlock]:
    """Return the blocks that bind any of an authority."""
    return [block for block in blocks if touches(block, authority)]


def leaves_block(origin: audit.RequestContext, client_id: str) -> bool:
    """Whether a revocation leaves a block: not if the client revokes its own delegation."""
    return origin.actor != client_subject(client_id)


def of_revocation(row: Delegation) -> DelegationBlock:
    """Return the block that the revocation of a delegation leaves, unsaved."""
    # A client that acts for itself has no screen: it is blocked until an operator lifts the block
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
    """Return the blocks that a narrowing leaves, unsaved.

    Args:
        before: the authority before the narrowing.
        row: the narrowed delegation.
        limits: the added constraints.
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
    """Return the block of all authority of a pair, unsaved; an empty name stands for all names."""
    return DelegationBlock(
        cause=DelegationBlock.Cause.REVOKED,
        subject=subject,
        client_id_value=client_id,
        everything=True,
    )


def of_withdrawal(consent: ConsentRecord) -> DelegationBlock:
    """Return the block that the withdrawal of a consent leaves, unsaved."""
    return DelegationBlock(
        cause=DelegationBlock.Cause.WITHDRAWN,
        subject=consent.subject,
        client_id_value=consent.client_id_value,
        scopes=consent.scopes_granted,
        audience=consent.audience,
        consent=consent,
    )


def store(blocks: Iterable[DelegationBlock], origin: audit.RequestContext, *, reason: str) -> None:
    """Store blocks. The caller records the event of the revocation or narrowing.

    Side effects: waits for transactions that create delegations of these pairs; one statement, and
    one INSERT for every 500 blocks. Call it inside a transaction that holds the roots concerned.
    """
    # Copies: a selection can be revoked again, and the database may require a retry
    rows = [copy(block) for block in blocks]
    if not rows:
        return
    advisory_lock(*{_lock_name(row.subject, row.client_id_value) for row in rows})
    # After the wait: an answer that was given meanwhile is older than the block
    now = clock.now()
    for row in rows:
        row.pk, row.public_id = None, uuid4()
        row.blocked_at = now
        row.blocked_by = audit.printable(origin.actor, 300) or "system"
        row.reason = audit.printable(reason, 255)
    DelegationBlock.objects.bulk_create(rows, batch_size=limits.MAX_BATCH)


def hold_pair(subject: str, client_id: str, *alone: str) -> None:
    """Wait for transactions that block a pair, and hold them off until the commit.

    Args:
        subject, client_id: the pair.
        alone: names of exclusive locks, taken in the same statement.
    """
    shared = (_lock_name(subject, ""), _lock_name("", client_id))
    advisory_lock(*alone, shared=shared)


def lift(block: DelegationBlock, origin: audit.RequestContext, *, reason: str) -> bool:
    """Lift a block; return whether this call did it.

    Delegations that the block has cut stay as they are; the next request creates a new one.

    Side effects: one row, the terms digests of the pair's delegations, one audit event.
    """
    with nested():
        lifted = DelegationBlock.objects.active().filter(pk=block.pk)
        actor = audit.printable(origin.actor, 300) or "system"
        columns = {"lifted_by": actor, "lift_reason": audit.printable(reason, 255)}
        if not lifted.update(lifted_at=clock.now(), **columns):
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
    """Lift every block that names exactly this pair; return their number. See `lift`."""
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
    # The next request would find the delegations that were cut
    rows = Delegation.objects.filter(revoked_at=None).filter(
        Q(parent__isnull=False) | Q(principal_client__isnull=False)
    )
    pair = {"subject": block.subject, "delegate_client_id": block.client_id_value}
    rows.filter(**{name: value for name, value in pair.items() if value}).update(terms_digest="")


def _lock_name(subject: str, client_id: str) -> str:
    # A block locks exclusively the most specific name that all creators for its pair share
    return f"blocks of subject {subject}" if subject else f"blocks of client {client_id}"
