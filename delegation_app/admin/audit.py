"""The audit trail. It is only read."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from delegation_app.admin import details, evidence, limits, names
from delegation_app.admin.filters import EndpointFilter, EventFilter
from delegation_app.admin.readonly import ReadOnlyAdmin
from delegation_app.models import AuditEvent, ConsentRecord
from delegation_app.protocol.claims import user_subject


class AuditChangeList(ChangeList):
    """Names the people of a page in one query."""

    def get_results(self, request: HttpRequest) -> None:
        """Read the page, then the names of those who acted and whom it is about."""
        super().get_results(request)
        events = list(self.result_list)
        known = names.of_subjects(s for event in events for s in (event.actor, event.subject))
        for event in events:
            event.people = known
        self.result_list = events


@admin.register(AuditEvent)
class AuditAdmin(ReadOnlyAdmin):
    """Newest first, and nothing to press."""

    list_display = (
        "occurred_at",
        "label",
        "outcome",
        "why",
        "acted",
        "concerned",
        "client_id_value",
    )
    list_filter = (EventFilter, "outcome", EndpointFilter, "occurred_at")
    sortable_by = ("occurred_at",)
    search_fields = ("subject",)
    search_help_text = _(
        "A person or subject, or the id of a client, token, request, delegation or consent."
    )
    fieldsets = (
        (None, {"fields": ("occurred_at", "kind", "outcome", "reason")}),
        (_("Who"), {"fields": ("acted", "concerned", "client_id_value", "jti")}),
        (_("From where"), {"fields": ("ip_address", "request_id")}),
        (_("Details"), {"fields": ("details_text",)}),
    )

    def get_changelist(self, request: HttpRequest, **_kwargs: Any) -> type[ChangeList]:
        """Return the list that knows names."""
        del request
        return AuditChangeList

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Any:
        """Read the names with it."""
        found = super().get_object(request, object_id, from_field)
        if found is not None:
            found.people = names.of_subjects((found.actor, found.subject))
        return found

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Look for exact values, and for people by name."""
        del request
        term = search_term.strip()
        if not term:
            return queryset, False
        if (public_id := names.as_uuid(term)) is not None:
            consents = ConsentRecord.objects.filter(
                Q(public_id=public_id) | Q(delegations__public_id=public_id)
            )
            about = Q(delegation__public_id=public_id) | Q(consent__in=consents.values("pk"))
            return queryset.filter(about | Q(request_id=term)), False
        subjects = [term, *map(user_subject, names.people_called(term))]
        condition = (
            Q(actor__in=subjects)
            | Q(subject__in=subjects)
            | Q(client_id_value=term)
            | Q(jti=term)
            | Q(request_id=term)
        )
        return queryset.filter(condition), False

    @admin.display(description=_("event"))
    def label(self, obj: AuditEvent) -> str:
        """Say what happened."""
        return str(evidence.event_label(obj.event))

    @admin.display(description=_("event"))
    def kind(self, obj: AuditEvent) -> str:
        """Say what happened, and by what name the event is known to programs."""
        return f"{self.label(obj)} ({obj.event})"

    @admin.display(description=_("actor"))
    def acted(self, obj: AuditEvent) -> str:
        """Name who acted."""
        return names.with_name(obj.actor, _people(obj))

    @admin.display(description=_("subject"))
    def concerned(self, obj: AuditEvent) -> str:
        """Name whose authority it is about."""
        name = names.with_name(obj.subject, _people(obj))
        return name or str(self.get_empty_value_display())

    @admin.display(description=_("reason and details"))
    def why(self, obj: AuditEvent) -> str:
        """Say why, and what came of it."""
        return details.why(obj) or str(self.get_empty_value_display())

    @admin.display(description=_("details"))
    def details_text(self, obj: AuditEvent) -> str:
        """Show the details as indented JSON."""
        return limits.as_text(obj.details)

    def page_context(self, request: HttpRequest, obj: Any) -> dict[str, Any]:
        """Add the links to what it is about."""
        found = ((_("Delegation"), obj.delegation), (_("Consent"), obj.consent))
        return {
            "related": [
                (label, names.link(self.admin_site, request, row, str(row)))
                for label, row in found
                if row is not None
            ],
            "facts": details.lines(self.admin_site, request, obj),
        }


def _people(event: AuditEvent) -> dict[str, str]:
    known: dict[str, str] = event.people  # type: ignore[attr-defined]  # set by the list and by the page
    return known
