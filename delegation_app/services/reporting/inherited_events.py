"""The events of the delegations above one that ended or narrowed it as well.

A revocation or narrowing leaves one event, about the delegation that was chosen, and reaches all
below it. The trail of a delegation without them would not say how it ended.
"""

from __future__ import annotations

from typing import Final

from django.db.models import Q

from delegation_app.events import DELEGATION_NARROWED, DELEGATION_REVOKED
from delegation_app.models import AuditEvent, Delegation

REACHING: Final = frozenset({DELEGATION_NARROWED.name, DELEGATION_REVOKED.name})
# Nobody narrows one chain more often; what is older is on the pages of those above
_MOST: Final = 200


def keys(delegation: Delegation) -> list[int]:
    """Return the keys of the events above a delegation that ended or narrowed it. Reads only.

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
        # A narrowing that leaves nothing of it ends it first, and is recorded then
        if end.request_id:
            within |= Q(request_id=end.request_id)
        # What ended it is not a second end of one that had ended by itself
        reached = (reached & within) | Q(pk=end.pk, delegation__in=ancestors)
    found = AuditEvent.objects.filter(reached).order_by("-occurred_at", "-pk")
    return list(found.values_list("pk", flat=True)[:_MOST])


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
