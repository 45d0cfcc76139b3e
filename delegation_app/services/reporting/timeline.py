"""The audit events of the timeline of a delegation.

A revocation or narrowing writes one event, about the requested delegation, and affects all of its
descendants. The timeline of a delegation includes these events of its ancestors.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from django.db.models import Q

from delegation_app.events import DELEGATION_NARROWED, DELEGATION_REVOKED
from delegation_app.models import AuditEvent, Delegation

REACHING: Final = frozenset({DELEGATION_NARROWED.name, DELEGATION_REVOKED.name})
# Older events are on the pages of the ancestors
_MAX_INHERITED: Final = 200


def first_and_last(
    delegation: Delegation, first: int, last: int
) -> tuple[list[AuditEvent], list[AuditEvent]]:
    """Return the first events of a timeline, oldest first, and the last ones. Reads only.

    Args:
        delegation: the delegation; events of its consent and inherited ones belong to it.
        first, last: the numbers of events. If both together cover all, all are in the first list.
    """
    about = Q(delegation=delegation) | Q(pk__in=inherited_keys(delegation))
    if delegation.consent_id is not None:
        about |= Q(consent=delegation.consent_id)
    events = AuditEvent.objects.filter(about)
    found = list(events.order_by("occurred_at", "pk")[: first + last + 1])
    if len(found) <= first + last:
        return found, []
    return found[:first], list(events.order_by("-occurred_at", "-pk")[:last])[::-1]


def newest(
    delegations: Iterable[Delegation], names: Collection[str], most: int
) -> list[AuditEvent]:
    """Return the newest successful events about some delegations, newest first. One statement.

    Args:
        delegations: the delegations.
        names: of the events.
        most: how many.
    """
    events = AuditEvent.objects.filter(
        delegation__in=[row.pk for row in delegations],
        event__in=names,
        outcome=AuditEvent.Outcome.DONE,
    )
    return list(events[:most])


def inherited_keys(delegation: Delegation) -> list[int]:
    """Return the keys of events of ancestors that revoked or narrowed a delegation. Reads only.

    Args:
        delegation: as read from its table; a root costs no statement, others up to three.
    """
    if not delegation.depth:
        return []
    above = Delegation.objects.filter(public_id__in=delegation.chain[:-1])
    ancestors = list(above.values_list("pk", flat=True))
    end = _end(delegation, ancestors)
    reached = Q(delegation__in=ancestors, occurred_at__gte=delegation.issued_at)
    reached &= Q(event=DELEGATION_NARROWED.name)
    if end is not None:
        within = Q(occurred_at__lte=end.occurred_at)
        # A narrowing that leaves nothing of it revokes it first, and is recorded afterwards
        if end.request_id:
            within |= Q(request_id=end.request_id)
        # What ended it is not a second end of one that had ended by itself
        reached = (reached & within) | Q(pk=end.pk, delegation__in=ancestors)
    found = AuditEvent.objects.filter(reached).order_by("-occurred_at", "-pk")
    return list(found.values_list("pk", flat=True)[:_MAX_INHERITED])


def _end(delegation: Delegation, ancestors: list[int]) -> AuditEvent | None:
    """Return the revocation that ended it, which is recorded right after its row was changed."""
    if delegation.revoked_at is None:
        return None
    ends = AuditEvent.objects.filter(
        delegation__in=[*ancestors, delegation.pk],
        event=DELEGATION_REVOKED.name,
        occurred_at__gte=delegation.revoked_at,
    )
    return ends.order_by("occurred_at", "pk").first()
