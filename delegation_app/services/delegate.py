"""Opening, handing on and narrowing: the one place where what a delegation may hold is checked."""

from __future__ import annotations

from django.db import transaction
from django.db.models import Exists, Q

from delegation_app import clock
from delegation_app.conf import conf
from delegation_app.events import (
    DELEGATION_HANDED_ON,
    DELEGATION_NARROWED,
    DELEGATION_OPENED,
    Event,
)
from delegation_app.models import Delegation
from delegation_app.protocol.constraints import Moment
from delegation_app.protocol.errors import InvalidRequest, InvalidScope, InvalidTarget
from delegation_app.services import audit, limits, narrowing, revoke, tree
from delegation_app.services.narrowing import Narrowing
from delegation_app.services.terms import ChildTerms, Terms
from delegation_app.services.transactions import database, joined
from delegation_app.signals import delegation_opened


def open_delegation(terms: Terms, origin: audit.Origin) -> Delegation:
    """Insert a root delegation on `terms`.

    Side effects: one row, one audit event; the signal `delegation_opened` after the commit.
    Call it inside a transaction.
    """
    return _insert(terms, origin, DELEGATION_OPENED)


def hand_on(terms: ChildTerms, origin: audit.Origin) -> Delegation:
    """Return the child delegation on `terms`: the live one if there is one, else a new one.

    Args:
        terms: what the child shall hold; its parent is looked at again under the lock.
        origin: the exchanging client, and from where.

    Raises:
        InvalidRequest: the parent or an ancestor has ended, the tree is too deep, or a
            constraint of the parent refuses.
        InvalidTarget: a constraint keeps the parent from reaching the audience, or a child of this
            client was revoked for good.
        InvalidScope: more than the parent holds.

    Side effects: locks the root; maybe one row, one audit event and the signal
    `delegation_opened` after the commit. Call it inside a transaction.
    """
    tree.hold(terms.parent)
    parent, child = _look(terms)
    if parent is None:
        raise InvalidRequest("The subject token is not valid.", detail="its delegation has ended")
    _check(terms, parent, origin)
    parent.note_use(clock.now())
    return child or _insert(terms, origin, DELEGATION_HANDED_ON)


def narrow(
    delegation: Delegation, to: Narrowing, origin: audit.Origin, *, reason: str
) -> Delegation:
    """Narrow a live delegation and everything below it, at once for all of their tokens.

    What of the tree can't be used any more after that is revoked. The terms under which a child is
    found again stay: asking again gives the narrowed one, not another.

    Args:
        delegation: the delegation to narrow.
        to: what shall be left.
        origin: who narrows it.
        reason: a sentence for the record.

    Returns:
        The delegation as it is now.

    Raises:
        InvalidRequest: it has ended, or the expiry is past or later than its own.
        InvalidScope, InvalidTarget: wider than it is, or nothing is left.
        InvalidConstraint: a constraint leaves nothing.

    Side effects: locks the root; the rows of the subtree that change, one audit event.
    """
    with joined():
        tree.hold(delegation)
        current = Delegation.objects.live().filter(pk=delegation.pk).first()
        if current is None:
            raise InvalidRequest("The delegation has ended.")
        narrowing.check(to, current)
        before = narrowing.said(current)
        ended = narrowing.apply(to, current)
        for row in ended:
            revoke.subtree(row, origin, reason="nothing was left when it was narrowed")
        current.refresh_from_db()
        details = {"before": before, "after": narrowing.said(current), "ended": len(ended)}
        audit.record(
            DELEGATION_NARROWED, origin, delegation=current, reason=reason, details=details
        )
    return current


def _look(terms: ChildTerms) -> tuple[Delegation | None, Delegation | None]:
    # Under the lock, in one statement: the parent as it is now, and a child to use again.
    key = terms.parent.pk
    same = Q(parent=key, terms_digest=terms.digest)
    rows = Delegation.objects.live().filter(Q(pk=key) | same).order_by("pk")
    found = list(rows.annotate(is_barred=_barred(terms)))
    parent = next((row for row in found if row.pk == key), None)
    return parent, next((row for row in found if row.pk != key), None)


def _barred(terms: ChildTerms) -> Exists:
    client = terms.client.application.pk
    return Exists(Delegation.objects.filter(parent=terms.parent.pk, delegate=client, barred=True))


def _check(terms: ChildTerms, parent: Delegation, origin: audit.Origin) -> None:
    """Refuse a child that would exceed its parent."""
    # Or the next request would undo what somebody revoked
    if parent.is_barred:  # type: ignore[attr-defined]  # annotated above
        raise InvalidTarget("This was revoked, and may not be handed on to this client again.")
    if parent.depth >= conf.max_depth:
        raise InvalidRequest("The authority was handed on too often.", detail="MAX_DEPTH")
    if not terms.scope <= parent.scopes:
        raise InvalidScope("The scope is more than the subject token has.")
    if not _ends_in_time(terms, parent):
        raise InvalidRequest("The subject token ends too early.", detail="expires after parent")
    limits.check_reach(parent, terms.audience)
    limits.enforce(parent, terms.audience, origin, Moment.HAND_ON, refusal=InvalidRequest)
    if not terms.constraints.is_within(parent.constraints.handed_on()):
        raise InvalidTarget("The constraints are wider than those of the subject token.")


def _ends_in_time(terms: ChildTerms, parent: Delegation) -> bool:
    if parent.expires_at is None:
        return True
    return terms.expires_at is not None and terms.expires_at <= parent.expires_at


def _answer_behind(terms: Terms | ChildTerms) -> dict[str, str]:
    # What is handed on stands on its root's answer
    if isinstance(terms, ChildTerms) or terms.consent is None:
        return {}
    return {"consent": str(terms.consent.public_id)}


def _insert(terms: Terms | ChildTerms, origin: audit.Origin, event: Event) -> Delegation:
    delegation = Delegation.objects.create(**terms.columns(), issued_at=clock.now())
    ends = terms.expires_at
    audit.record(
        event,
        origin,
        delegation=delegation,
        details={
            "scope": str(terms.scope),
            "audience": list(terms.audience),
            "constraints": terms.constraints.as_json(),
            "expires_at": None if ends is None else ends.isoformat(),
            "chain": delegation.chain,
            **_answer_behind(terms),
        },
    )
    public_id = delegation.public_id
    transaction.on_commit(
        lambda: delegation_opened.send_robust(sender=Delegation, delegation_id=public_id),
        using=database(),
    )
    return delegation
