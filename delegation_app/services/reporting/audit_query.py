"""Queries of the audit trail, with the same filters for the admin, the export and the commands.

Each single filter has an index in the order newest first; see `models/audit.py`.
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
from delegation_app.services.paging import Cursor, KeysetList, Page
from delegation_app.services.reporting import timeline
from delegation_app.services.reporting.timeline import REACHING
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
_MAX_CONSENTS: Final = 20
_TOKEN_ID_LENGTH: Final = 27


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """The filter of events. An empty condition matches all.

    Attributes:
        since, until: the first time, and the time after the last.
        event, outcome, reason: exact values.
        actor, subject: a subject, a user name or a client id.
        client_id, request_id, jti: exact values.
        delegation: the public id of a delegation: matches its events, and events of its ancestors
            that also revoked or narrowed it.
        endpoint: the endpoint of a refusal; one of ENDPOINTS.
        about: any of the ids and names above.
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
    def events(self) -> KeysetList[AuditEvent]:
        """The events, newest first."""
        return KeysetList("occurred_at", list(self._branches()))

    def page(self, size: int, cursor: Cursor | None = None) -> Page[AuditEvent]:
        """Return a page of the events, with the ids that their lines link to."""
        return self.events.page(size, cursor)

    def is_inherited(self, event: AuditEvent) -> bool:
        """Whether an event is about an ancestor of the requested delegation, and affected it too.

        Args:
            event: from this query.
        """
        requested = self.delegation or as_uuid(self.about, as_typed=True)
        # A request id may look like the id of a delegation
        if requested is None or event.event not in REACHING or event.request_id == self.about:
            return False
        return event.about_delegation not in {None, requested}  # type: ignore[attr-defined]  # annotated

    def unknown_names(self, visible: VisibilityScope) -> list[str]:
        """Return a sentence for each unknown name; see `name_suggestions`."""
        return name_suggestions.unknown_names(
            visible, parties=(self.actor, self.subject), client_id=self.client_id, term=self.about
        )

    def as_details(self) -> dict[str, str]:
        """Return the set conditions, for the audit event of an export."""
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
    """Annotate the public ids of the delegation and the consent of each event."""
    return rows.annotate(
        about_delegation=F("delegation__public_id"), about_consent=F("consent__public_id")
    )


def since_preset(preset: str) -> datetime | None:
    """Return the start of a preset period; None for no limit."""
    return clock.now() - PRESETS[preset] if preset in PRESETS else None


def export(query: AuditQuery, origin: audit.RequestContext, form: str) -> Iterator[AuditEvent]:
    """Return all events of a query, newest first, up to now.

    Rows are streamed, in constant memory. The export is recorded before the first event.

    Args:
        query: the filter.
        origin: the request that exports.
        form: the name of the format.

    Side effects: one audit event immediately, and those of finished counts; statements while it is
        read.
    """
    event_counts.write_finished()
    now = clock.now()
    # Without an end, the export could follow new events for ever
    bounded = replace(query, until=now if query.until is None else min(query.until, now))
    with nested():
        audit.record(AUDIT_EXPORTED, origin, details={"format": form, "filter": query.as_details()})
    return bounded.events.all()


def _alternatives(column: str, term: str) -> list[Q]:
    return [Q(**{column: each}) for each in name_search.subjects(term)] if term else [Q()]


def _of_delegation(public_id: UUID | None) -> list[Q]:
    if public_id is None:
        return [Q()]
    # By key: a join would read the newest events of all delegations for one with few events
    row = Delegation.objects.filter(public_id=public_id).first()
    if row is None:
        return []
    above = timeline.inherited_keys(row)
    return [Q(delegation=row.pk), *([Q(pk__in=above)] if above else [])]


def _about(term: str) -> list[Q]:
    if not term:
        return [Q()]
    if (public_id := as_uuid(term, as_typed=True)) is not None:
        consents = ConsentRecord.objects.filter(
            Q(public_id=public_id) | Q(delegations__public_id=public_id)
        )
        keys = list(consents.values_list("pk", flat=True).distinct()[:_MAX_CONSENTS])
        return [
            *_of_delegation(public_id),
            *(Q(consent=key) for key in keys),
            Q(request_id=term),
        ]
    found = [Q(client_id_value=term), Q(request_id=term)]
    if len(term) == _TOKEN_ID_LENGTH:
        found.append(Q(jti=term))
    # Events of a client as the actor have its client id as well
    if (subject := name_search.person(term)) is not None:
        found += [Q(actor=subject), Q(subject=subject)]
    return found


def _refused_at(endpoint: str) -> list[Q]:
    """Return the conditions for refusals of an endpoint; none for an unknown one."""
    if not endpoint:
        return [Q()]
    try:
        path = reverse(f"delegation_app:{endpoint}")
    except NoReverseMatch:
        return []
    refused = Q(outcome=AuditEvent.Outcome.REFUSED)
    found = [refused & Q(at=path)]
    if endpoint == "exchange":
        # The token endpoint accepts exchanges too
        found.append(refused & Q(grant=TOKEN_EXCHANGE))
    return found
