"""Consent records: what people were asked, what they answered, and how to take it back."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext_lazy as _

from delegation_app.admin import limits, names
from delegation_app.admin.confirmation import Confirmation, ask, consequences, deed
from delegation_app.admin.deed_forms import RevocationForm
from delegation_app.admin.deeds import tell_ended
from delegation_app.admin.filters import WithdrawnFilter
from delegation_app.admin.origin import origin_of
from delegation_app.admin.readonly import ReadOnlyAdmin
from delegation_app.models import ConsentRecord
from delegation_app.services import consent as consents
from delegation_app.services import selections
from delegation_app.services.preview import preview

_DELEGATIONS = 50


@admin.register(ConsentRecord)
class ConsentAdmin(ReadOnlyAdmin):
    """Read-only, but for one deed: withdraw."""

    deed_pages: ClassVar = {"withdraw": "<path:object_id>/withdraw/"}
    list_display = (
        "who",
        "client_name",
        "decision",
        "scopes_granted",
        "scopes_refused",
        "limits_in_short",
        "decided_at",
        "chosen_expiry",
        "withdrawn_at",
    )
    list_filter = ("decision", WithdrawnFilter, "decided_at")
    list_select_related = ("user",)
    sortable_by = ("decided_at",)
    search_fields = ("subject",)
    search_help_text = _("A person, a client, a subject or a consent id.")
    fieldsets = (
        (None, {"fields": ("who", "decision", "decided_at", "public_id")}),
        (
            _("As shown"),
            {"fields": ("client_name", "redirect_host", "audience", "text_version", "locale")},
        ),
        (
            _("Asked and answered"),
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
        (_("From where"), {"fields": ("ip_address", "user_agent")}),
        (
            _("As recorded"),
            {"fields": ("subject", "client_id_value"), "classes": ("collapse",)},
        ),
    )

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Add when it was withdrawn, if it was."""
        fieldsets = list(super().get_fieldsets(request, obj))
        if obj is not None and obj.withdrawn_at is not None:
            fields = ("withdrawn_at", "withdrawn_by_whom")
            fieldsets.insert(1, (_("Withdrawal"), {"fields": fields}))
        return fieldsets

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Look for exact values, and for people and clients by name."""
        del request
        term = search_term.strip()
        if not term:
            return queryset, False
        if (public_id := names.as_uuid(term)) is not None:
            return queryset.filter(public_id=public_id), False
        condition = (
            Q(subject=term)
            | Q(client_id_value=term)
            | Q(client_name=term)
            | Q(user__in=names.people_called(term))
            | Q(client__in=names.clients_called(term))
        )
        return queryset.filter(condition), False

    @admin.display(description=_("who"))
    def who(self, obj: ConsentRecord) -> str:
        """Name the person; one that was deleted goes by the subject."""
        return obj.subject if obj.user is None else obj.user.get_username()

    @admin.display(description=_("constraints"))
    def limits_in_short(self, obj: ConsentRecord) -> str:
        """Show the constraints in one line."""
        return " ".join(obj.constraints.describe()) or str(self.get_empty_value_display())

    @admin.display(description=_("constraints"))
    def constraint_list(self, obj: ConsentRecord) -> str:
        """Show the constraints, a sentence each."""
        return limits.as_list(obj.constraints)

    @admin.display(description=_("withdrawn by"))
    def withdrawn_by_whom(self, obj: ConsentRecord) -> str:
        """Name whoever withdrew it."""
        return names.with_name(obj.withdrawn_by, names.of_subjects([obj.withdrawn_by]))

    def page_context(self, request: HttpRequest, obj: Any) -> dict[str, Any]:
        """Add the delegations that hang on it, and the button."""
        site = self.admin_site
        found = obj.delegations.all()[:_DELEGATIONS]
        return {
            "subtitle": self._short(obj),
            "related": [
                (_("Person"), names.link(site, request, obj.user, self.who(obj))),
                (_("Client"), names.link(site, request, obj.client, obj.client_name)),
                *((_("Delegation"), names.link(site, request, row, str(row))) for row in found),
            ],
            "withdraw_url": self.url("withdraw", obj.pk) if self.may_withdraw(request, obj) else "",
        }

    def may_withdraw(self, request: HttpRequest, obj: ConsentRecord) -> bool:
        """Tell whether there is something to withdraw, and this user may."""
        return self.may(request, "withdraw") and _stands(obj)

    @deed
    def withdraw_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask, and withdraw."""
        self.require(request, "withdraw")
        record: ConsentRecord = self.find(request, object_id)
        back = HttpResponseRedirect(self.url("change", record.pk))
        if not _stands(record):
            self.message_user(request, _("There is nothing to withdraw."), messages.WARNING)
            return back
        form = RevocationForm(request.POST if request.method == "POST" else None)
        if form.is_valid():
            reason = form.cleaned_data["reason"]
            ended = consents.withdraw(record, origin_of(request), reason=reason)
            self.message_user(request, _("The consent was withdrawn."), messages.SUCCESS)
            tell_ended(self, request, ended)
            return back
        return ask(self, request, self._question(record, form))

    def _short(self, record: ConsentRecord) -> str:
        return f"{self.who(record)} → {record.client_name}"

    def _question(self, record: ConsentRecord, form: RevocationForm) -> Confirmation:
        return Confirmation(
            title=str(_("Withdraw this consent?")),
            question=str(
                _("This ends all that hangs on it, at once. The person is asked again next time.")
            ),
            consequences=consequences(preview([selections.of_consent(record)])),
            button=str(_("Withdraw")),
            back=self.url("change", record.pk),
            form=form,
            record=record,
            about=f"{self._short(record)}: {record.scopes_granted}",
        )


def _stands(record: ConsentRecord) -> bool:
    return record.withdrawn_at is None and record.decision != ConsentRecord.Decision.DENIED
