"""Narrowing: its conditions, and its effect on the rows of a tree."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import islice
from typing import Any, Final

from delegation_app import clock
from delegation_app.events import DELEGATION_NARROWED
from delegation_app.models import AccessToken, ClientPolicy, Delegation, ResourceServer
from delegation_app.protocol.audience import Audience
from delegation_app.protocol.constraints import Constraints, InvalidConstraint
from delegation_app.protocol.errors import InvalidRequest, InvalidScope, InvalidTarget
from delegation_app.protocol.scope import Scope
from delegation_app.services import audit, limits
from delegation_app.services.delegations.revocation import end_subtree
from delegation_app.services.delegations.terms import most_uses
from delegation_app.services.status_lists import cache
from delegation_app.toolkit import application_model

_COLUMNS: Final = ("scopes", "audience", "constraints", "max_uses", "expires_at")


@dataclass(frozen=True, slots=True)
class Narrowing:
    """What is left of a delegation; None leaves a part unchanged.

    Attributes:
        scope, audience, expires_at: at most those of the delegation.
        constraints: added to those of the delegation.
    """

    scope: Scope | None = None
    audience: Audience | None = None
    expires_at: datetime | None = None
    constraints: Constraints = Constraints()

    def changes(self, row: Delegation) -> bool:
        """Whether this narrows a delegation at all.

        Raises:
            InvalidConstraint: the constraints contradict those of the delegation.
        """
        return (
            self.scope not in {None, row.scopes}
            or self.audience not in {None, row.audience}
            or self.expires_at not in {None, row.expires_at}
            or row.constraints.narrowed(self.constraints) != row.constraints
        )

    def require_change(self, row: Delegation) -> None:
        """Refuse a narrowing that changes nothing and would only fill the audit trail.

        Raises:
            InvalidRequest: nothing would change.
            InvalidConstraint: see `changes`.
        """
        if not self.changes(row):
            raise InvalidRequest("This would change nothing.")


def check(to: Narrowing, current: Delegation) -> None:
    """Refuse a change that is not a narrowing.

    Raises:
        InvalidScope, InvalidTarget: wider than `current`, or nothing is left.
        InvalidRequest: the expiry is past, or later than the current one.
    """
    if to.scope is not None and not (to.scope and to.scope <= current.scopes):
        raise InvalidScope("The scope must be a part of what the delegation has.")
    if to.audience is not None and not (to.audience and to.audience <= current.audience):
        raise InvalidTarget("The audience must be a part of what the delegation has.")
    if to.expires_at is None:
        return
    if to.expires_at <= clock.now():
        raise InvalidRequest("The expiry must be in the future. Revoke to end it now.")
    if current.expires_at is not None and to.expires_at > current.expires_at:
        raise InvalidRequest("The expiry must not be later than it is.")


def narrow_row(
    row: Delegation,
    to: Narrowing,
    origin: audit.RequestContext,
    *,
    reason: str,
    details: Mapping[str, Any] | None = None,
) -> Delegation:
    """Narrow a delegation and its descendants, and revoke what becomes unusable.

    Args:
        row: the delegation as read under the lock.
        to: what is left; see `check`.
        origin: the narrowing actor and the origin of the request.
        reason: a sentence for the record.
        details: further members of the audit event, of JSON types.

    Returns:
        The narrowed delegation.

    Raises:
        InvalidScope, InvalidConstraint: nothing is left of it.

    Side effects: those of `apply`, one audit event, and those of `end_subtree` for what is empty.
    Call it inside a transaction that holds the root.
    """
    before = said(row)
    why = "nothing was left when it was narrowed"
    ended = sum(end_subtree(empty, origin, reason=why) for empty in apply(to, row))
    current = Delegation.objects.get(pk=row.pk)
    changed = {"before": before, "after": said(current), "ended": ended}
    audit.record(
        DELEGATION_NARROWED,
        origin,
        delegation=current,
        reason=reason,
        details={**changed, **(details or {})},
    )
    return current


def apply(to: Narrowing, top: Delegation) -> list[Delegation]:
    """Narrow `top` and its descendants, and return those of which nothing is left.

    Raises:
        InvalidConstraint: nothing is left of `top` itself.

    Side effects: the changed rows, in batches. Call it inside a transaction that holds the root.
    """
    emptied: list[Delegation] = []
    changed = _narrowed(to, top, emptied)
    # Zero where no token exists yet: any value marks the row as narrowed
    newest = AccessToken.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    while rows := list(islice(changed, limits.MAX_BATCH)):
        for row in rows:
            row.narrowed_after = newest
        Delegation.objects.bulk_update(rows, (*_COLUMNS, "narrowed_after"))
    cache.changed()
    return emptied


def said(delegation: Delegation) -> dict[str, Any]:
    """Return what a delegation allows, for the audit trail."""
    ends = delegation.expires_at
    return {
        "scope": str(delegation.scopes),
        "audience": list(delegation.audience),
        "constraints": delegation.constraints.as_json(),
        "expires_at": None if ends is None else ends.isoformat(),
    }


def _narrowed(to: Narrowing, top: Delegation, emptied: list[Delegation]) -> Iterator[Delegation]:
    inherited, reach = _inherited(to.constraints), _Reach(top, to.audience or top.audience)
    tree = Delegation.objects.subtree(top).filter(revoked_at=None).order_by("path")
    for row in tree.iterator(chunk_size=limits.MAX_BATCH):
        before = [getattr(row, name) for name in _COLUMNS]
        try:
            _narrow_row(row, to, inherited(row.depth - top.depth))
            reach.narrow(row)
        except (InvalidConstraint, InvalidScope, InvalidTarget):
            if row.pk == top.pk:
                raise
            emptied.append(row)
            continue
        if before != [getattr(row, name) for name in _COLUMNS]:
            yield row


def _narrow_row(row: Delegation, to: Narrowing, constraints: Constraints) -> None:
    row.constraints = row.constraints.narrowed(constraints)
    row.max_uses = most_uses(row.constraints)
    if to.scope is not None:
        row.scopes &= to.scope
    if not row.scopes:
        raise InvalidScope("No scope would be left.")
    if to.expires_at is not None:
        row.expires_at = min(row.expires_at or to.expires_at, to.expires_at)


class _Reach:
    """The effect of a removed audience on the descendants of a delegation.

    A client that has exchanged a token of its own authority holds it twice, even where the token
    came back through other clients, so it loses the audience there too. Another client keeps its
    delegation as long as it could still obtain it: it is in the remaining audience, or `may_act`
    names it.
    """

    def __init__(self, top: Delegation, audience: Audience) -> None:
        self.top, self.taken = top, top.audience - audience
        # The audience of each narrowed delegation, by key
        self.left: dict[int, Audience] = {}
        self._heard: dict[Audience, set[object]] = {}

    def narrow(self, row: Delegation) -> None:
        """Narrow a row, after all of its ancestors.

        Raises:
            InvalidTarget: nothing of it is left.
        """
        if row.delegate_id == self.top.delegate_id:
            self._keep(row, row.audience - self.taken)
        elif (above := self.left.get(row.parent_id or 0)) is None:
            return
        elif not self._is_given(row.delegate_id, above):
            raise InvalidTarget("Its client does not stand in what is left of the audience.")

    def _keep(self, row: Delegation, audience: Audience) -> None:
        if not audience:
            raise InvalidTarget("No audience would be left.")
        if audience != row.audience:
            row.audience = self.left[row.pk] = audience

    def _is_given(self, client: object, above: Audience) -> bool:
        return client in self._named or client in self._in(above)

    def _in(self, audience: Audience) -> set[object]:
        if audience not in self._heard:
            # Inactive ones included: they may be activated again
            servers = ResourceServer.objects.filter(identifier__in=audience)
            self._heard[audience] = set(servers.values_list("introspectors", flat=True))
        return self._heard[audience]

    @cached_property
    def _named(self) -> set[object]:
        # RFC 8693 section 4.4: may_act names the client, whatever the audience
        policies = ClientPolicy.objects.filter(application=self.top.delegate_id)
        names = policies.exclude(may_act="").values("may_act")
        found = application_model().objects.filter(client_id__in=names)
        return set(found.values_list("pk", flat=True))


def _inherited(constraints: Constraints) -> Callable[[int], Constraints]:
    known = [constraints]

    def at(distance: int) -> Constraints:
        while len(known) <= distance:
            known.append(known[-1].for_child())
        return known[distance]

    return at
