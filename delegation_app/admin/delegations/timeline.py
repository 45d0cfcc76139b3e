"""The timeline of a delegation, from the consent to its end, with its audit events."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.contrib.admin import AdminSite
from django.http import HttpRequest
from django.utils.functional import Promise
from django.utils.translation import gettext as _

from delegation_app import clock
from delegation_app.admin import labels
from delegation_app.admin.audit import details
from delegation_app.admin.delegations import issued
from delegation_app.models import AuditEvent, Delegation
from delegation_app.services.reporting import timeline

FIRST: Final = 15
LAST: Final = 30


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One line.

    Attributes:
        when: the time.
        text: the event, as a link to its page if the user may see that.
        who: the actor; empty if there is none.
        why: the reason and the result.
        is_refused: whether it was refused.
        is_ahead: whether it is in the future.
        gap: whether events between this one and the next are left out.
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

    For users without access to the audit trail, it contains the record only.
    """
    if request.user.has_perm("delegation_app.view_auditevent"):
        found = _recorded(site, request, delegation)
    else:
        found = list(_from_record(delegation))
    return [*found, *_ahead(delegation)]


def _recorded(site: AdminSite, request: HttpRequest, delegation: Delegation) -> list[TimelineEntry]:
    first, last = timeline.first_and_last(delegation, FIRST, LAST)
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


def _from_record(delegation: Delegation) -> Iterator[TimelineEntry]:
    consent = delegation.consent
    if consent is not None:
        yield TimelineEntry(consent.decided_at, _("Consent answered"))
    yield TimelineEntry(delegation.issued_at, _("Created"))
    if delegation.last_used_at is not None:
        yield TimelineEntry(delegation.last_used_at, _("Last used"))
    if delegation.revoked_at is not None:
        yield TimelineEntry(delegation.revoked_at, _("Revoked"), why=delegation.revocation_reason)


def _ahead(delegation: Delegation) -> Iterator[TimelineEntry]:
    ends = delegation.expires_at
    if ends is not None and delegation.revoked_at is None:
        is_ahead = ends > clock.now()
        yield TimelineEntry(ends, _("Expires") if is_ahead else _("Expired"), is_ahead=is_ahead)
