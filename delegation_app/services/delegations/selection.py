"""What a revocation ends: delegations chosen by whose they are, with all that is below them.

A preview counts the very rows that the deed will end. None of these conditions walks a tree: a row
knows its person, its consent and the clients above it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from django.contrib.auth.models import AbstractBaseUser
from django.db.models import CharField, Exists, ExpressionWrapper, F, OuterRef, Q, QuerySet

from delegation_app.models import ConsentRecord, Delegation, DelegationBlock
from delegation_app.models.delegation import ancestor_clients_of
from delegation_app.protocol.claims import user_subject
from delegation_app.services.delegations import blocks
from delegation_app.toolkit import Application

# Each is a condition of its own, and databases bound how many one statement may have.
_MOST_AT_ONCE: Final = 100


@dataclass(frozen=True, slots=True)
class Selection:
    """Delegations that have not ended yet.

    Attributes:
        rows: all that would end.
        tops: those of them that have none of them above; the others end because of these.
        pair: the block that a revocation leaves, where all of a principal, of a client, of both or
            of a consent is chosen; None where each of `tops` leaves one.
    """

    rows: QuerySet[Delegation]
    tops: QuerySet[Delegation]
    pair: DelegationBlock | None = None


def subtree(top: Delegation) -> Selection:
    """Choose one delegation and everything below it."""
    standing = _standing()
    return Selection(standing.subtree(top), standing.filter(pk=top.pk))  # type: ignore[attr-defined]


def of_user(user: AbstractBaseUser) -> Selection:
    """Choose everything that a person has granted, directly or through others."""
    return _of_trees(blocks.of_everything(user_subject(user.pk), ""), principal_user=user.pk)


def of_consent(consent: ConsentRecord) -> Selection:
    """Choose everything that stands on one answer of a person."""
    return _of_trees(blocks.of_withdrawal(consent), consent=consent.pk)


def of_client(application: Application) -> Selection:
    """Choose everything that a client holds, and what was made from it."""
    return _held_by(application, _standing(), "")


def of_user_at_client(user: AbstractBaseUser, application: Application) -> Selection:
    """Choose what a client holds for one person, and what was made from it."""
    rows = _standing().filter(principal_user=user.pk)
    return _held_by(application, rows, user_subject(user.pk))


def each(delegations: Iterable[Delegation]) -> Iterator[Selection]:
    """Choose several delegations, each with everything below it, some at a time."""
    tops = list(_topmost(delegations))
    for start in range(0, len(tops), _MOST_AT_ONCE):
        some = tops[start : start + _MOST_AT_ONCE]
        below = Q()
        for top in some:
            below |= Q(root=top.root_id, path__startswith=top.path)
        standing = _standing()
        yield Selection(standing.filter(below), standing.filter(pk__in=[top.pk for top in some]))


def together(tops: QuerySet[Delegation]) -> Selection:
    """Choose several delegations at once, each with everything below it.

    For counting: a revocation takes them `each`, some at a time.
    """
    tops = tops.filter(revoked_at=None)
    above = tops.filter(root=OuterRef("root")).annotate(
        of=ExpressionWrapper(OuterRef("path"), output_field=CharField())
    )
    # Only trees that any of them stands in are looked at
    rows = _standing().filter(root__in=tops.values("root"))
    return Selection(rows.filter(Exists(above.filter(of__startswith=F("path")))), tops)


def _standing() -> QuerySet[Delegation]:
    return Delegation.objects.filter(revoked_at=None).order_by()


def _of_trees(pair: DelegationBlock, **condition: Any) -> Selection:
    # A tree has one principal and one consent, so whatever matches is a whole tree.
    rows = _standing().filter(**condition)
    return Selection(rows, rows.filter(depth=0), pair)


def _held_by(application: Application, rows: QuerySet[Delegation], subject: str) -> Selection:
    held = Q(delegate=application.pk)
    below = Q(ancestor_clients__contains=ancestor_clients_of(application.pk))
    trees = rows.filter(held).values("root")
    return Selection(
        rows.filter(held | (below & Q(root__in=trees))),
        rows.filter(held).exclude(below),
        blocks.of_everything(subject, application.client_id),
    )


def _topmost(delegations: Iterable[Delegation]) -> Iterator[Delegation]:
    above = ""
    for row in sorted(delegations, key=lambda row: row.path):
        if row.revoked_at is None and not (above and row.path.startswith(above)):
            above = row.path
            yield row
