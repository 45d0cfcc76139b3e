"""What happened to a delegation, from the question to its end, each with its audit event."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.contrib.admin import AdminSite
from django.db.models import Q
from django.http import HttpRequest
from django.utils.functional import Promise
from django.utils.translation import gettext as _

from delegation_app import clock
from delegation_app.admin import labels
from delegation_app.admin.audit import details
from delegation_app.admin.delegations import issued
from delegation_app.models import AuditEvent, Delegation
from delegation_app.services.reporting import inherited_events

FIRST: Final = 15
LAST: Final = 30


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One line.

    Attributes:
        when: it happened, or will.
        text: what, as a link to the audit event where there is one that the user may see.
        who: acted; empty where nobody did.
        why: the reason and what came of it.
        is_refused: whether it was refused.
        is_ahead: whether it is still to come.
        gap: whether there is more between this one and the next than is shown.
    """

    when: datetime
    text: str | Promise
    who: str = ""
    why: str = ""
    is_refused: bool = False
    is_ahead: bool = False
    gap: bool = False


def of(site: AdminSite, request: HttpRequest, delegation: Delegation) -> list[TimelineEntry]:
    """Return the timeline, oldest first, in at most six statements.

    Who may not see the audit trail gets what the record itself says.
    """
    if request.user.has_perm("delegation_app.view_auditevent"):
        found = _recorded(site, request, delegation)
    else:
        found = list(_known(delegation))
    return [*found, *_ahead(delegation)]


def _recorded(site: AdminSite, request: HttpRequest, delegation: Delegation) -> list[TimelineEntry]:
    first, last = _events(delegation)
    people = labels.of_subjects(event.actor for event in (*first, *last))

    def moment(event: AuditEvent, *, gap: bool = False) -> TimelineEntry:
        text = str(issued.event_label(event.event))
        if event.delegation_id not in {delegation.pk, None}:
            text = issued.above(text)
        return TimelineEntry(
            when=event.occurred_at,
            text=labels.link(site, request, event, text),
            who=labels.with_name(event.actor, people),
            why=details.why(event),
            is_refused=event.outcome == AuditEvent.Outcome.REFUSED,
            gap=gap,
        )

    moments = [moment(event) for event in first]
    if last:
        moments[-1] = moment(first[-1], gap=True)
    return [*moments, *(moment(event) for event in last)]


def _events(delegation: Delegation) -> tuple[list[AuditEvent], list[AuditEvent]]:
    """Return the first events and, if there are more, the last ones."""
    about = Q(delegation=delegation) | Q(pk__in=inherited_events.keys(delegation))
    if delegation.consent_id is not None:
        about |= Q(consent=delegation.consent_id)
    events = AuditEvent.objects.filter(about)
    first = list(events.order_by("occurred_at", "pk")[: FIRST + LAST + 1])
    if len(first) <= FIRST + LAST:
        return first, []
    last = list(events.order_by("-occurred_at", "-pk")[:LAST])
    return first[:FIRST], last[::-1]


def _known(delegation: Delegation) -> Iterator[TimelineEntry]:
    consent = delegation.consent
    if consent is not None:
        yield TimelineEntry(consent.decided_at, _("Asked and answered"))
    yield TimelineEntry(delegation.issued_at, _("Opened"))
    if delegation.last_used_at is not None:
        yield TimelineEntry(delegation.last_used_at, _("Last used"))
    if delegation.revoked_at is not None:
        yield TimelineEntry(delegation.revoked_at, _("Revoked"), why=delegation.revocation_reason)


def _ahead(delegation: Delegation) -> Iterator[TimelineEntry]:
    ends = delegation.expires_at
    if ends is not None and delegation.revoked_at is None:
        is_ahead = ends > clock.now()
        yield TimelineEntry(ends, _("Expires") if is_ahead else _("Expired"), is_ahead=is_ahead)
