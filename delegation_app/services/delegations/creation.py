"""Creating, delegating onward and narrowing: the only place that checks a delegation's bounds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final, TypeVar

from django.db.models import BooleanField, Exists, ExpressionWrapper, Q, Value
from django.db.models.expressions import Combinable

from delegation_app import clock
from delegation_app.conf import conf
from delegation_app.events import (
    DELEGATION_CHAINED,
    DELEGATION_CREATED,
    Event,
)
from delegation_app.models import AccessToken, Delegation
from delegation_app.models.validity import in_force
from delegation_app.protocol.constraints import EnforcementPoint
from delegation_app.protocol.errors import (
    AccessDenied,
    InvalidRequest,
    InvalidScope,
    InvalidTarget,
)
from delegation_app.services import audit, outbox, transactions
from delegation_app.services.consent import history
from delegation_app.services.delegations import blocks, enforcement, narrowing, reuse
from delegation_app.services.delegations.blocks import Authority
from delegation_app.services.delegations.narrowing import Narrowing
from delegation_app.services.delegations.terms import ChildTerms, Terms
from delegation_app.services.transactions import part

_NOTHING: Final[Mapping[str, Delegation]] = MappingProxyType({})

AnyTerms = TypeVar("AnyTerms", Terms, ChildTerms)


def create(terms: Terms, origin: audit.RequestContext, *, just_allowed: bool = False) -> Delegation:
    """Insert a root delegation on `terms`, cut by the blocks of the pair.

    Args:
        terms: the terms of the delegation.
        origin: the actor and the origin of the request.
        just_allowed: whether the user's answer was given in this very transaction, which holds the
            pair: no block is newer.

    Raises:
        AccessDenied: all of it is blocked, or requires an operator's approval.

    Side effects: waits for transactions that block the pair; one row, one audit event; the signal
    `delegation_created` after the commit. Call it inside a transaction.
    """
    left: Terms | None = terms
    if not just_allowed:
        blocks.hold_pair(terms.subject, terms.client.client_id)
        left = cut(terms)
    if left is None:
        raise AccessDenied("This was taken from the client. The user has to allow it again.")
    if risky := history.unapproved(left):
        raise AccessDenied("An operator has to confirm this first.", detail=f"high risk: {risky}")
    return insert(left, origin)


def insert(terms: Terms, origin: audit.RequestContext) -> Delegation:
    """Insert a root delegation on terms that are already cut; see `create`."""
    return _insert(terms, origin, DELEGATION_CREATED)


def cut(terms: AnyTerms) -> AnyTerms | None:
    """Return terms without what is blocked for the pair; None if nothing is left.

    Reads only: one statement; a few for a child where a block is older than the user's answer.
    """
    client_id = terms.client.client_id
    if isinstance(terms, ChildTerms):
        found = blocks.of_child(terms.parent, client_id, terms.authority)
    else:
        found = blocks.of_pair(terms.subject, client_id, since=terms.allowed_at)
    left = blocks.cut(terms.authority, found)
    if left is None or left == terms.authority:
        return None if left is None else terms
    return terms.cut(left)


def delegate_onward(
    terms: ChildTerms, origin: audit.RequestContext, presented: Mapping[str, Delegation] = _NOTHING
) -> Delegation | None:
    """Return the live child delegation on `terms`, created if there is none.

    Returns None if a block has cut the parent in this call: the terms exceed the parent, and have
    to be worked out again.

    Args:
        terms: the terms of the child; its parent is read again under the lock.
        origin: the exchanging client and the origin of the request.
        presented: the delegations of the presented access tokens, by token id; each token is judged
            again.

    Raises:
        InvalidRequest: the parent or an ancestor has ended or is blocked, a presented token has
            ended, the tree is too deep, or a constraint of the parent refuses.
        InvalidTarget: a constraint keeps the parent from reaching the audience, or all of it is
            blocked for the exchanging client.
        InvalidScope: the scope exceeds the parent's.

    Side effects: locks the roots; those of `reuse.apply_blocks_to_line`; maybe one row, one audit
    event and the signal `delegation_created` after the commit. Call it inside a transaction.
    """
    transactions.lock_root(terms.parent, *presented.values())
    line, child = _look(terms, presented)
    parent = line[-1] if line else None
    if parent is None or parent.pk != terms.parent.pk:
        raise InvalidRequest("The subject token is not valid.", detail="its delegation has ended")
    if not parent.are_presented_good:
        raise InvalidRequest("The subject token is not valid.", detail="revoked meanwhile")
    if reuse.apply_blocks_to_line(line, origin, refusal=InvalidRequest):
        return None
    _check(terms, parent, origin)
    parent.note_use(clock.now(), *([] if child is None else [child]))
    child = None if child is None else reuse.apply_blocks(child, origin)
    return child or _new_child(replace(terms, parent=parent), origin)


@part
def narrow(
    delegation: Delegation, to: Narrowing, origin: audit.RequestContext, *, reason: str
) -> Delegation:
    """Narrow a live delegation and its descendants, with immediate effect on all of their tokens.

    Descendants that become unusable are revoked. The terms digests of children stay: the next
    request finds the narrowed child, and creates no other.

    Args:
        delegation: the delegation to narrow.
        to: what is left.
        origin: the narrowing actor and the origin of the request.
        reason: a sentence for the record.

    Returns:
        The narrowed delegation.

    Raises:
        InvalidRequest: the delegation has ended, or the expiry is past or later than its own.
        InvalidScope, InvalidTarget: wider than the delegation, or nothing is left.
        InvalidConstraint: a constraint leaves nothing.

    Side effects: locks the root; the changed rows of the subtree, one audit event.
    """
    is_taken = blocks.leaves_block(origin, delegation.delegate_client_id)
    transactions.lock_root(delegation)
    current = Delegation.objects.live().filter(pk=delegation.pk).first()
    if current is None:
        raise InvalidRequest("The delegation has ended.")
    narrowing.check(to, current)
    before = Authority.of(current)
    current = narrowing.narrow_row(current, to, origin, reason=reason)
    taken = blocks.of_narrowing(before, current, to.constraints) if is_taken else []
    blocks.store(taken, origin, reason=reason)
    return current


def _look(terms: ChildTerms, presented: Iterable[str]) -> tuple[list[Any], Any]:
    # Under the lock, in one statement: the current parent with its ancestors, root first, and a
    # child to reuse
    parent = terms.parent
    same = Q(parent=parent.pk, terms_digest=terms.digest)
    rows = Delegation.objects.live().filter(Q(public_id__in=parent.chain) | same)
    rows = rows.order_by("depth", "pk")
    found = list(reuse.with_blocks(rows).annotate(are_presented_good=_are_good(presented)))
    line = [row for row in found if row.depth <= parent.depth]
    return line, next((row for row in found if row.depth > parent.depth), None)


def _are_good(presented: Iterable[str]) -> Combinable:
    now, every = clock.now(), Q(Value(value=True))
    good = AccessToken.objects.filter(
        in_force(now, "delegation__"), revoked_at=None, expires_at__gt=now
    )
    for jti in presented:
        every &= Q(Exists(good.filter(jti=jti)))
    return ExpressionWrapper(every, BooleanField())


def _new_child(terms: ChildTerms, context: audit.RequestContext) -> Delegation:
    blocks.hold_pair(terms.subject, terms.client.client_id)
    # The next request would otherwise restore what was blocked
    if (left := cut(terms)) is None:
        raise InvalidTarget("This was taken from the client, and cannot be delegated to it again.")
    return _insert(left, context, DELEGATION_CHAINED)


def _check(terms: ChildTerms, parent: Delegation, context: audit.RequestContext) -> None:
    if parent.depth >= conf.max_depth:
        raise InvalidRequest("The maximum delegation depth has been reached.", detail="MAX_DEPTH")
    if not terms.scope <= parent.scopes:
        raise InvalidScope("The scope is more than the subject token has.")
    if not _ends_in_time(terms, parent):
        raise InvalidRequest(
            "The requested lifetime exceeds that of the subject token.",
            detail="expires after parent",
        )
    enforcement.refuse_unreachable(terms.audience, parent.constraints)
    enforcement.enforce(
        parent, terms.audience, context, EnforcementPoint.HAND_ON, refusal=InvalidRequest
    )
    if not terms.constraints.is_within(parent.constraints.for_child()):
        raise InvalidTarget("The constraints are wider than those of the subject token.")


def _ends_in_time(terms: ChildTerms, parent: Delegation) -> bool:
    if parent.expires_at is None:
        return True
    return terms.expires_at is not None and terms.expires_at <= parent.expires_at


def _insert(terms: Terms | ChildTerms, context: audit.RequestContext, event: Event) -> Delegation:
    now = clock.now()
    # Unless a code stands between, the first token is issued in this very transaction
    used = None if terms.is_for_a_code else now
    delegation = Delegation.objects.create(**terms.columns(), issued_at=now, last_used_at=used)
    ends = terms.expires_at
    # A child rests on its root's consent
    consent = None if isinstance(terms, ChildTerms) else terms.consent
    audit.record(
        event,
        context,
        delegation=delegation,
        details={
            "scope": str(terms.scope),
            "audience": list(terms.audience),
            "constraints": terms.constraints.as_json(),
            "expires_at": None if ends is None else ends.isoformat(),
            "chain": delegation.chain,
            **({} if consent is None else {"consent": str(consent.public_id)}),
        },
    )
    outbox.opened(delegation.public_id)
    return delegation
