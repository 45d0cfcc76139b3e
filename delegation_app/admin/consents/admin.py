"""Consent records, their approval and withdrawal."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext_lazy as _

from delegation_app import clock
from delegation_app.admin import constraint_display, labels
from delegation_app.admin.base import ReadOnlyAdmin, context_of
from delegation_app.admin.confirmation import deed
from delegation_app.admin.consents import actions
from delegation_app.admin.consents import review as consents_review
from delegation_app.admin.delegations import summary
from delegation_app.admin.filters import ConfirmationFilter, WithdrawnFilter
from delegation_app.models import ConsentRecord, Delegation
from delegation_app.protocol.requests.public_id import as_uuid
from delegation_app.services import name_search
from delegation_app.services.consent import approval
from delegation_app.services.delegations import state
from delegation_app.services.paging import RowCount

_DELEGATIONS = 50
# Counted up to this
_QUEUE = 100
_CONFIRMED = ("confirmation", "confirmation_at", "confirmed_by_whom", "confirmation_reason")


@admin.register(ConsentRecord)
class ConsentAdmin(ReadOnlyAdmin):
    """Read-only, with the actions withdraw, approve and reject."""

    deed_pages: ClassVar = {
        name: f"<path:object_id>/{name}/" for name in ("withdraw", "confirm", "refuse")
    }
    list_display = (
        "who",
        "client_name",
        "decision",
        "scopes_granted",
        "scopes_refused",
        "limits_in_short",
        "decided_at",
        "chosen_expiry",
        "confirmation",
        "withdrawn_at",
    )
    list_filter = ("decision", ConfirmationFilter, WithdrawnFilter, "decided_at")
    list_select_related = ("user",)
    sortable_by = ("decided_at",)
    search_fields = ("subject",)
    search_help_text = _("A user, a client, a subject or a consent id.")
    fieldsets = (
        (None, {"fields": ("who", "decision", "decided_at", "public_id")}),
        (
            _("As shown"),
            {"fields": ("client_name", "redirect_host", "audience", "text_version", "locale")},
        ),
        (
            _("Decision"),
            {
                "fields": (
                    "scopes_asked",
                    "scopes_granted",
                    "scopes_refused",
                    "constraint_list",
                    "chosen_expiry",
                )
            },
        ),
        (_("Origin"), {"fields": ("ip_address", "user_agent")}),
        (
            _("As recorded"),
            {"fields": ("subject", "client_id_value"), "classes": ("collapse",)},
        ),
    )

    class Media:
        css: ClassVar = {"all": ["delegation_app/consent_review.css"]}

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        fieldsets = list(super().get_fieldsets(request, obj))
        if obj is not None and obj.confirmation_at is not None:
            fieldsets.insert(1, (_("Approval"), {"fields": _CONFIRMED}))
        if obj is not None and obj.withdrawn_at is not None:
            fields = ("withdrawn_at", "withdrawn_by_whom")
            fieldsets.insert(1, (_("Withdrawal"), {"fields": fields}))
        return fieldsets

    def search(self, rows: QuerySet[Any], term: str) -> QuerySet[Any]:
        """Match exact values, and users and clients by name."""
        if not term:
            return rows
        if (public_id := as_uuid(term, as_typed=True)) is not None:
            return rows.filter(public_id=public_id)
        condition = (
            Q(subject=term)
            | Q(client_id_value=term)
            | Q(client_name=term)
            | Q(user__in=name_search.people_called(term))
            | Q(client__in=name_search.clients_called(term))
        )
        return rows.filter(condition)

    @admin.display(description=_("who"))
    def who(self, obj: ConsentRecord) -> str:
        return obj.subject if obj.user is None else obj.user.get_username()

    @admin.display(description=_("constraints"))
    def limits_in_short(self, obj: ConsentRecord) -> str:
        return " ".join(obj.constraints.describe()) or str(self.get_empty_value_display())

    @admin.display(description=_("constraints"))
    def constraint_list(self, obj: ConsentRecord) -> str:
        return constraint_display.as_list(obj.constraints)

    @admin.display(description=_("withdrawn by"))
    def withdrawn_by_whom(self, obj: ConsentRecord) -> str:
        return labels.with_name(obj.withdrawn_by, labels.of_subjects([obj.withdrawn_by]))

    @admin.display(description=_("approved or rejected by"))
    def confirmed_by_whom(self, obj: ConsentRecord) -> str:
        return labels.with_name(obj.confirmation_by, labels.of_subjects([obj.confirmation_by]))

    def page_context(self, request: HttpRequest, obj: Any) -> dict[str, Any]:
        site = self.admin_site
        people = ("principal_user", "principal_client", "delegate")
        rows = state.with_state(obj.delegations.all()).select_related(*people)
        review = consents_review.of(obj)
        return {
            "subtitle": self._short(obj),
            "related": [
                (_("User"), labels.link(site, request, obj.user, self.who(obj))),
                (_("Client"), labels.link(site, request, obj.client, obj.client_name)),
                *(
                    (_("Delegation"), labels.link(site, request, row, _in_short(row)))
                    for row in rows[:_DELEGATIONS]
                ),
            ],
            "withdraw_url": self.url("withdraw", obj.pk) if self.may_withdraw(request, obj) else "",
            **self._decision_urls(request, obj),
            "review": review,
            "review_before": consents_review.link(self, request, review.before),
            "review_after": consents_review.link(self, request, review.following),
            "shown": obj.shown,
        }

    def may_withdraw(self, request: HttpRequest, obj: ConsentRecord) -> bool:
        """Whether the consent can be withdrawn, and by this user."""
        return self.may(request, "withdraw") and _stands(obj)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        queue = ""
        if self.has_view_permission(request):
            waiting = ConsentRecord.objects.awaiting(clock.now()).order_by()
            queue = str(RowCount.of(waiting, _QUEUE))
        context = {
            "queue": queue,
            "queue_url": f"{self.url('changelist')}?confirmation=pending",
            **(extra_context or {}),
        }
        return super().changelist_view(request, context)

    def _decision_urls(self, request: HttpRequest, obj: ConsentRecord) -> dict[str, str]:
        if not self.may(request, "confirm"):
            return {}
        if not actions.may_be_decided(obj, context_of(request)):
            return {}
        return {
            "confirm_url": self.url("confirm", obj.pk),
            "refuse_url": self.url("refuse", obj.pk),
        }

    @deed
    def withdraw_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        self.require(request, "withdraw")
        record: ConsentRecord = self.find(request, object_id)
        if not _stands(record):
            return self._nothing(request, record, _("This consent cannot be withdrawn."))
        return actions.withdraw(self, request, record)

    @deed
    def confirm_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._decided(request, object_id, actions.confirm)

    @deed
    def refuse_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._decided(request, object_id, actions.refuse)

    def _decided(self, request: HttpRequest, object_id: str, decide: Any) -> HttpResponse:
        self.require(request, "confirm")
        record: ConsentRecord = self.find(request, object_id)
        origin = context_of(request)
        # Two operators; the service checks it again
        if approval.is_own(record, origin.actor):
            text = _("Another operator must approve your own consent.")
            return self._nothing(request, record, text)
        if not actions.may_be_decided(record, origin):
            return self._nothing(request, record, _("This consent is not pending approval."))
        response: HttpResponse = decide(self, request, record)
        return response

    def _nothing(self, request: HttpRequest, record: ConsentRecord, text: Any) -> HttpResponse:
        self.message_user(request, text, messages.WARNING)
        return HttpResponseRedirect(self.url("change", record.pk))

    def _short(self, record: ConsentRecord) -> str:
        return f"{self.who(record)} → {record.client_name}"


def _stands(record: ConsentRecord) -> bool:
    return record.withdrawn_at is None and record.decision != ConsentRecord.Decision.DENIED


def _in_short(row: Delegation) -> str:
    when = date_format(timezone.localtime(row.issued_at), "DATETIME_FORMAT")
    return f"{summary.short(row)}, {when}, {summary.state_word(state.state(row))}"
