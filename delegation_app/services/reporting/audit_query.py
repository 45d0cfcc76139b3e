"""Looking into the audit trail: the same filters for the console, the export and the command line.

Each filter alone has an index that gives its newest events first; see `models/audit.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from itertools import product
from typing import Any, Final
from uuid import UUID

from django.db.models import F, Q, QuerySet
from django.urls import NoReverseMatch, reverse

from delegation_app import clock
from delegation_app.events import AUDIT_EXPORTED
from delegation_app.models import AuditEvent, ConsentRecord, Delegation
from delegation_app.models.audit import detail_text
from delegation_app.protocol.names import TOKEN_EXCHANGE
from delegation_app.protocol.requests.public_id import as_uuid
from delegation_app.services import audit, event_counts, name_search, name_suggestions
from delegation_app.services.name_suggestions import VisibilityScope
from delegation_app.services.paging import Cursor, Newest, Page
from delegation_app.services.reporting import inherited_events
from delegation_app.services.reporting.inherited_events import REACHING
from delegation_app.services.transactions import nested

PRESETS: Final = {
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(days=7),
    "month": timedelta(days=30),
}
ENDPOINTS: Final = (
    "exchange",
    "token",
    "authorize",
    "device_authorization",
    "introspect",
    "revoke",
)
_MOST_CONSENTS: Final = 20
_TOKEN_ID_LENGTH: Final = 27


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """Which events; what is left empty keeps all.

    Attributes:
        since, until: from when on, and until before when.
        event, outcome, reason: exactly these.
        actor, subject: a subject, a user name or a client id.
        client_id, request_id, jti: exactly these.
        delegation: the public id of the delegation that the event is about, or that it ended or
            narrowed with one above it.
        endpoint: the name of the endpoint that refused; one of ENDPOINTS.
        about: any of the ids and names above, whichever it is.
    """

    since: datetime | None = None
    until: datetime | None = None
    event: str = ""
    outcome: str = ""
    reason: str = ""
    actor: str = ""
    subject: str = ""
    client_id: str = ""
    delegation: UUID | None = None
    request_id: str = ""
    jti: str = ""
    endpoint: str = ""
    about: str = ""

    @property
    def events(self) -> Newest[AuditEvent]:
        """The events, newest first."""
        return Newest("occurred_at", list(self._branches()))

    def page(self, size: int, cursor: Cursor | None = None) -> Page[AuditEvent]:
        """Return a page of them; reads each once, with what its line links to."""
        return self.events.page(size, cursor)

    def is_inherited(self, event: AuditEvent) -> bool:
        """Whether an event is here because it reached the asked delegation from one above it.

        Args:
            event: as this trail has read it.
        """
        asked = self.delegation or as_uuid(self.about, as_typed=True)
        # The id of a request may look like that of a delegation
        if asked is None or event.event not in REACHING or event.request_id == self.about:
            return False
        return event.about_delegation not in {None, asked}  # type: ignore[attr-defined]  # annotated

    def unknown(self, visible: VisibilityScope) -> list[str]:
        """Return a sentence for each name that does not exist. Reads only.

        Args:
            visible: whose names the reader may see.
        """
        found = [
            name_suggestions.of_party(term, visible) for term in (self.actor, self.subject) if term
        ]
        if self.client_id:
            found.append(name_suggestions.of_client(self.client_id, visible))
        # It may be the id of a token or a request, so only a slip is worth a word
        if self.about:
            found.append(name_suggestions.of_anything(self.about, visible))
        return [sentence for sentence in dict.fromkeys(found) if sentence]

    def said(self) -> dict[str, str]:
        """Return what was asked for, for the record of an export."""
        values = ((each.name, getattr(self, each.name)) for each in fields(self))
        return {
            name: value.isoformat() if isinstance(value, datetime) else str(value)
            for name, value in values
            if value
        }

    def _branches(self) -> Iterator[QuerySet[AuditEvent]]:
        rows = self._exact()
        for conditions in product(
            _alternatives("actor", self.actor),
            _alternatives("subject", self.subject),
            _of_delegation(self.delegation),
            _refused_at(self.endpoint),
            _about(self.about),
        ):
            yield rows.filter(*conditions)

    def _exact(self) -> QuerySet[AuditEvent]:
        conditions: dict[str, Any] = {
            "occurred_at__gte": self.since,
            "occurred_at__lt": self.until,
            "event": self.event,
            "outcome": self.outcome,
            "reason": self.reason,
            "client_id_value": self.client_id,
            "request_id": self.request_id,
            "jti": self.jti,
        }
        chosen = {name: value for name, value in conditions.items() if value}
        rows = with_public_ids(AuditEvent.objects.filter(**chosen))
        if not self.endpoint:
            return rows
        return rows.alias(at=detail_text("endpoint"), grant=detail_text("grant_type"))


def with_public_ids(rows: QuerySet[AuditEvent]) -> QuerySet[AuditEvent]:
    """Add the ids by which the world knows what each is about, as `about_delegation` and so on."""
    return rows.annotate(
        about_delegation=F("delegation__public_id"), about_consent=F("consent__public_id")
    )


def since_preset(preset: str) -> datetime | None:
    """Return since when a preset reaches; None for all."""
    return clock.now() - PRESETS[preset] if preset in PRESETS else None


def export(trail: AuditQuery, origin: audit.RequestContext, form: str) -> Iterator[AuditEvent]:
    """Return all events that `trail` keeps, newest first, up to now.

    They are read while they are taken, in constant memory. That they leave is on record before
    the first one does.

    Args:
        trail: which.
        origin: who exports.
        form: the name of the format.

    Side effects: one audit event, now, and those of counts that are over; statements while it is
        read.
    """
    event_counts.write_finished()
    now = clock.now()
    # Without an end, the export would never catch up with its own server
    bounded = replace(trail, until=now if trail.until is None else min(trail.until, now))
    with nested():
        audit.record(AUDIT_EXPORTED, origin, details={"format": form, "filter": trail.said()})
    return bounded.events.all()


def _alternatives(column: str, term: str) -> list[Q]:
    return [Q(**{column: each}) for each in name_search.subjects(term)] if term else [Q()]


def _of_delegation(public_id: UUID | None) -> list[Q]:
    if public_id is None:
        return [Q()]
    # By its key: joined, the newest events of all would be gone through for one that has few
    row = Delegation.objects.filter(public_id=public_id).first()
    if row is None:
        return []
    above = inherited_events.keys(row)
    return [Q(delegation=row.pk), *([Q(pk__in=above)] if above else [])]


def _about(term: str) -> list[Q]:
    if not term:
        return [Q()]
    if (public_id := as_uuid(term, as_typed=True)) is not None:
        consents = ConsentRecord.objects.filter(
            Q(public_id=public_id) | Q(delegations__public_id=public_id)
        )
        keys = list(consents.values_list("pk", flat=True).distinct()[:_MOST_CONSENTS])
        return [
            *_of_delegation(public_id),
            *(Q(consent=key) for key in keys),
            Q(request_id=term),
        ]
    found = [Q(client_id_value=term), Q(request_id=term)]
    if len(term) == _TOKEN_ID_LENGTH:
        found.append(Q(jti=term))
    # What a client does has its id as well
    if (subject := name_search.person(term)) is not None:
        found += [Q(actor=subject), Q(subject=subject)]
    return found


def _refused_at(endpoint: str) -> list[Q]:
    """Return the conditions for what an endpoint refused; none if there is no such endpoint."""
    if not endpoint:
        return [Q()]
    try:
        path = reverse(f"delegation_app:{endpoint}")
    except NoReverseMatch:
        return []
    refused = Q(outcome=AuditEvent.Outcome.REFUSED)
    found = [refused & Q(at=path)]
    if endpoint == "exchange":
        # The token endpoint takes exchanges too
        found.append(refused & Q(grant=TOKEN_EXCHANGE))
    return found
