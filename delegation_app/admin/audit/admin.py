"""The audit trail."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any, ClassVar, Final
from urllib.parse import urlencode

from django.contrib import admin
from django.core.exceptions import BadRequest, PermissionDenied
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseNotAllowed,
    JsonResponse,
    StreamingHttpResponse,
)
from django.http.response import HttpResponseBase
from django.utils.decorators import method_decorator
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_post_parameters

from delegation_app import clock
from delegation_app.admin import constraint_display, labels
from delegation_app.admin.audit import as_of, details, explain
from delegation_app.admin.audit.filter_form import TrailForm
from delegation_app.admin.base import STYLES, ReadOnlyAdmin, context_of, render
from delegation_app.admin.delegations import issued, summary
from delegation_app.models import AuditEvent
from delegation_app.services import event_counts
from delegation_app.services.paging import Page
from delegation_app.services.reporting import audit_export, audit_query
from delegation_app.services.reporting.audit_query import AuditQuery

_PER_PAGE: Final = 50


@admin.register(AuditEvent)
class AuditAdmin(ReadOnlyAdmin):
    """Read-only, newest first, with filters, explanation and export."""

    deed_pages: ClassVar = {
        "export": "export/",
        "why": "why/",
        "asof": "as-of/",
        "json": "<path:object_id>/json/",
    }
    fieldsets = (
        (None, {"fields": ("occurred_at", "kind", "outcome", "reason")}),
        (_("Actor and subject"), {"fields": ("acted", "concerned", "client_id_value", "jti")}),
        (_("Origin"), {"fields": ("ip_address", "request_id")}),
        (_("Details"), {"fields": ("details_text",)}),
    )

    class Media:
        css: ClassVar = {"all": [STYLES, "delegation_app/audit.css"]}
        js = ("delegation_app/audit.js",)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        if request.method not in {"GET", "HEAD"}:
            return HttpResponseNotAllowed(["GET", "HEAD"])
        form = TrailForm(request.GET.dict())
        # Finished counts are part of the newest events
        event_counts.write_finished()
        page: Page[AuditEvent] = Page([])
        if form.is_valid():
            page = form.trail().page(_PER_PAGE, form.cleaned_data["at"])
        people = labels.of_subjects(s for e in page.rows for s in (e.actor, e.subject))
        for event in page.rows:
            event.people = people  # type: ignore[attr-defined]  # read by the columns
        context = {
            "form": form,
            "lines": [self._line(event, form.trail()) for event in page.rows],
            "page": {name: form.cursors().text(getattr(page, name)) for name in ("newer", "older")},
            "newest": f"?{urlencode(form.query())}" if form.data.get("at") else "",
            "may_export": self.may(request, "export"),
            "filters": form.query(),
            "events": page.rows,
            "unknown": self._unknown(request, form, page),
        }
        title = _("Audit trail")
        status = HTTPStatus.OK if form.is_valid() else HTTPStatus.BAD_REQUEST
        return render(self, request, "browser", title, context, status=status)

    def _unknown(self, request: HttpRequest, form: TrailForm, page: Page[AuditEvent]) -> list[str]:
        if page.rows or not form.is_valid():
            return []
        return form.trail().unknown_names(labels.visibility_of(self.admin_site, request))

    def _line(self, event: AuditEvent, trail: AuditQuery) -> dict[str, Any]:
        label = self.label(event)
        return {
            "event": event,
            "url": self.url("change", event.pk),
            "label": issued.above(label) if trail.is_inherited(event) else label,
            "why": details.why(event),
            "actor": labels.with_name(event.actor, _people(event)),
            "subject": labels.with_name(event.subject, _people(event)),
        }

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Any:
        found = super().get_object(request, object_id, from_field)
        if found is not None:
            found.people = labels.of_subjects((found.actor, found.subject))
        return found

    def export_view(self, request: HttpRequest) -> HttpResponseBase:
        """Stream the filtered events as a file."""
        self.require(request, "export")
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        form, kind = TrailForm(request.POST.dict()), request.POST.get("format", "")
        if not form.is_valid() or kind not in audit_export.TYPES:
            raise BadRequest("no such export")
        events = audit_query.export(form.trail(), context_of(request), kind)
        response = StreamingHttpResponse(
            audit_export.lines(events, kind), content_type=audit_export.TYPES[kind]
        )
        name = f"audit-{clock.now():%Y%m%dT%H%M%SZ}.{kind}"
        response["Content-Disposition"] = f'attachment; filename="{name}"'
        response["Cache-Control"] = "no-store"
        return response

    def json_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        event = self.find(request, object_id)
        return JsonResponse(audit_export.members(event), json_dumps_params={"indent": 2})

    @method_decorator(sensitive_post_parameters("text"))
    def why_view(self, request: HttpRequest) -> HttpResponse:
        """Explain the state of an id or token."""
        return explain.answer(self, request)

    def asof_view(self, request: HttpRequest) -> HttpResponse:
        """List the clients that could act for a user at a given time."""
        return as_of.answer(self, request)

    @admin.display(description=_("event"))
    def label(self, obj: AuditEvent) -> str:
        return str(issued.event_label(obj.event))

    @admin.display(description=_("event"))
    def kind(self, obj: AuditEvent) -> str:
        return f"{self.label(obj)} ({obj.event})"

    @admin.display(description=_("actor"))
    def acted(self, obj: AuditEvent) -> str:
        return labels.with_name(obj.actor, _people(obj))

    @admin.display(description=_("subject"))
    def concerned(self, obj: AuditEvent) -> str:
        name = labels.with_name(obj.subject, _people(obj))
        return name or str(self.get_empty_value_display())

    @admin.display(description=_("reason and details"))
    def why(self, obj: AuditEvent) -> str:
        return details.why(obj) or str(self.get_empty_value_display())

    @admin.display(description=_("details"))
    def details_text(self, obj: AuditEvent) -> str:
        return constraint_display.as_text(obj.details)

    def page_context(self, request: HttpRequest, obj: Any) -> dict[str, Any]:
        found = ((_("Delegation"), obj.delegation), (_("Consent"), obj.consent))
        return {
            "related": [
                (label, labels.link(self.admin_site, request, row, summary.named(row)))
                for label, row in found
                if row is not None
            ],
            "facts": details.lines(self.admin_site, request, obj),
            "as_json": json.dumps(audit_export.members(obj), indent=2, ensure_ascii=False),
            "json_url": self.url("json", obj.pk),
        }


def _people(event: AuditEvent) -> dict[str, str]:
    known: dict[str, str] = event.people  # type: ignore[attr-defined]  # set by the list and by the page
    return known
