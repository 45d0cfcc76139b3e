"""Selections: the delegations of a user, a client or a consent, with all of their descendants.

A preview counts exactly the rows that the revocation ends. No condition walks a tree: a row names
its user, its consent and the clients above it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import reduce
from operator import or_
from typing import Any, Final

from django.contrib.auth.models import AbstractBaseUser
from django.db.models import (
    CharField,
    Count,
    Exists,
    ExpressionWrapper,
    F,
    Max,
    OuterRef,
    Q,
    QuerySet,
)

from delegation_app import clock
from delegation_app.conf import conf
from delegation_app.models import (
    AccessToken,
    ConsentRecord,
    Delegation,
    DelegationBlock,
    RefreshToken,
)
from delegation_app.models.delegation import ancestor_clients_of
from delegation_app.protocol.claims import user_subject
from delegation_app.protocol.jose import SKEW_SECONDS
from delegation_app.services import limits
from delegation_app.services.delegations import blocks
from delegation_app.toolkit import Application

# How often `delegation_app.resource_server` polls status lists by default
_POLL_SECONDS: Final = 5


@dataclass(frozen=True, slots=True)
class Selection:
    """Delegations that have not ended.

    Attributes:
        rows: all that would end.
        tops: the topmost of them; the others end as their descendants.
        pair: the block of a revocation that ends everything of a principal, a client, both or a
            consent; None where each of `tops` leaves a block of its own.
    """

    rows: QuerySet[Delegation]
    tops: QuerySet[Delegation]
    pair: DelegationBlock | None = None


def subtree(top: Delegation) -> Selection:
    """Return a delegation with its descendants."""
    standing = _standing()
    return Selection(standing.subtree(top), standing.filter(pk=top.pk))  # type: ignore[attr-defined]


def of_user(user: AbstractBaseUser) -> Selection:
    """Return everything that a user granted, directly or through others."""
    return _of_trees(blocks.of_everything(user_subject(user.pk), ""), principal_user=user.pk)


def of_consent(consent: ConsentRecord) -> Selection:
    """Return everything that rests on a consent."""
    return _of_trees(blocks.of_withdrawal(consent), consent=consent.pk)


def of_client(application: Application) -> Selection:
    """Return everything that a client holds, and all below."""
    return _held_by(application, _standing(), "")


def of_user_at_client(user: AbstractBaseUser, application: Application) -> Selection:
    """Return everything that a client holds for a user, and all below."""
    rows = _standing().filter(principal_user=user.pk)
    return _held_by(application, rows, user_subject(user.pk))


def in_batches(delegations: Iterable[Delegation]) -> Iterator[Selection]:
    """Yield delegations with their descendants, in batches."""
    tops = list(_topmost(delegations))
    for start in range(0, len(tops), limits.MAX_CONDITIONS):
        some = tops[start : start + limits.MAX_CONDITIONS]
        below = Q()
        for top in some:
            below |= Q(root=top.root_id, path__startswith=top.path)
        standing = _standing()
        yield Selection(standing.filter(below), standing.filter(pk__in=[top.pk for top in some]))


def combined(tops: QuerySet[Delegation]) -> Selection:
    """Return delegations with their descendants in one selection.

    For counting; a revocation takes them `in_batches`.
    """
    tops = tops.filter(revoked_at=None)
    above = tops.filter(root=OuterRef("root")).annotate(
        of=ExpressionWrapper(OuterRef("path"), output_field=CharField())
    )
    # Only the trees of these delegations are read
    rows = _standing().filter(root__in=tops.values("root"))
    return Selection(rows.filter(Exists(above.filter(of__startswith=F("path")))), tops)


@dataclass(frozen=True, slots=True)
class Preview:
    """What a revocation would end now.

    Attributes:
        delegations: the number of delegations.
        access_tokens, refresh_tokens: the numbers of live tokens.
        clients: the number of clients that hold them.
        people: the number of users who granted them.
        offline_until: until when a verifier without introspection and status lists may accept one
            of the tokens (UTC); None if there is none.
    """

    delegations: int = 0
    access_tokens: int = 0
    refresh_tokens: int = 0
    clients: int = 0
    people: int = 0
    offline_until: datetime | None = None


def preview(selections: Iterable[Selection]) -> Preview:
    """Return what a revocation of several selections would end now. Reads only.

    Three statements in all; only the counts are read.
    """
    parts = [selection.rows for selection in selections]
    if not parts:
        return Preview()
    now, rows = clock.now(), reduce(or_, parts)
    held = rows.order_by().aggregate(
        delegations=Count("pk"),
        clients=Count("delegate_client_id", distinct=True),
        people=Count("subject", distinct=True, filter=Q(principal_user__isnull=False)),
    )
    good = {"delegation__in": rows, "expires_at__gt": now}
    refresh = RefreshToken.objects.filter(consumed_at=None, **good)
    # An opaque token cannot be verified offline
    access = AccessToken.objects.filter(revoked_at=None, **good).aggregate(
        tokens=Count("pk"), last=Max("expires_at", filter=Q(digest=None))
    )
    last = access["last"]
    return Preview(
        **held,
        access_tokens=access["tokens"],
        refresh_tokens=refresh.count(),
        offline_until=None if last is None else last + timedelta(seconds=SKEW_SECONDS),
    )


def followers_seconds() -> int:
    """Return after how many seconds verifiers with status lists refuse a revoked token.

    A list may have that age when it is served, and is polled again after the longer of the times.
    """
    return max(conf.status_list_ttl, _POLL_SECONDS) + conf.status_list_cache_seconds


def _standing() -> QuerySet[Delegation]:
    return Delegation.objects.filter(revoked_at=None).order_by()


def _of_trees(pair: DelegationBlock, **condition: Any) -> Selection:
    # A tree has one principal and one consent, so it matches as a whole or not at all
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
