"""Changes proposed by one operator and approved or rejected by another."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from delegation_app import clock, toolkit
from delegation_app.admin import labels
from delegation_app.admin.base import ReadOnlyAdmin, context_of
from delegation_app.admin.confirmation import ConfirmationPage, ConfirmedAction, ask, deed
from delegation_app.admin.delegations.forms import RevocationForm
from delegation_app.admin.delegations.issued import Table
from delegation_app.admin.proposals import changed_values, replay
from delegation_app.models import DelegationBlock, ProposedChange, ResourceServer
from delegation_app.protocol.errors import OAuthError
from delegation_app.services.clients import proposals, widening
from delegation_app.services.clients.snapshots import Diff

_Kind = ProposedChange.Kind


class WaitingFilter(admin.SimpleListFilter):
    """Filters proposals by state; pending ones by default."""

    title = gettext_lazy("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        decided = [each for each in ProposedChange.ProposalState.choices if each[0] != "pending"]
        return [("all", gettext_lazy("All")), *decided]

    def choices(self, changelist: Any) -> Any:
        found = list(super().choices(changelist))
        found[0]["display"] = _("pending")
        return found

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() is None:
            return queryset.filter(
                state=ProposedChange.ProposalState.PENDING, expires_at__gt=clock.now()
            )
        if self.value() in ProposedChange.ProposalState.values:
            return queryset.filter(state=self.value())
        return queryset


@admin.register(ProposedChange)
class ProposedChangeAdmin(ReadOnlyAdmin):
    """Read-only, with the actions approve, reject and withdraw."""

    deed_pages: ClassVar = {
        name: f"<path:object_id>/{name}/" for name in ("approve", "reject", "withdraw")
    }
    list_display = ("what", "change", "in_short", "proposer", "proposed_at", "how_far")
    list_filter = (WaitingFilter, "kind")
    sortable_by = ("proposed_at",)
    fieldsets = (
        (None, {"fields": ("what", "change", "how_far")}),
        (
            gettext_lazy("Proposed"),
            {"fields": ("proposer", "proposed_at", "reason", "expires_at")},
        ),
    )

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        fieldsets = list(super().get_fieldsets(request, obj))
        if obj is not None and obj.decided_at is not None:
            fields = ("decider", "decided_at", "decision_reason")
            fieldsets.append((_("Decided"), {"fields": fields}))
        return fieldsets

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        found = super().get_changelist_instance(request)
        people = labels.of_subjects(row.proposed_by for row in found.result_list)
        for row in found.result_list:
            row.people = people
        return found

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Any:
        found = super().get_object(request, object_id, from_field)
        if found is not None:
            found.people = labels.of_subjects((found.proposed_by, found.decided_by))
        return found

    @admin.display(description=gettext_lazy("what"), ordering="name")
    def what(self, obj: ProposedChange) -> str:
        return f"{obj.get_kind_display()} {obj.name}"

    @admin.display(description=gettext_lazy("changes"))
    def in_short(self, obj: ProposedChange) -> str:
        return changed_values.short({"before": obj.before, "after": obj.after, "kind": obj.kind})

    @admin.display(description=gettext_lazy("proposed by"))
    def proposer(self, obj: Any) -> str:
        return labels.with_name(obj.proposed_by, obj.people)

    @admin.display(description=gettext_lazy("decided by"))
    def decider(self, obj: Any) -> str:
        return labels.with_name(obj.decided_by, obj.people) or str(self.get_empty_value_display())

    @admin.display(description=gettext_lazy("state"))
    def how_far(self, obj: ProposedChange) -> str:
        if obj.state == ProposedChange.ProposalState.PENDING and not proposals.is_pending(obj):
            return _("expired")
        return str(obj.get_state_display())

    def page_context(self, request: HttpRequest, obj: Any) -> dict[str, Any]:
        return {
            "subtitle": str(obj),
            "related": [(_("Current record"), self._link(request, obj))],
            "tables": [_table(obj)],
            **{f"{name}_url": self.url(name, obj.pk) for name in self._open_to(request, obj)},
        }

    @deed
    def approve_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        decision = ConfirmedAction(
            title=_("Approve this change?"),
            question=_("The change is applied immediately, as shown here."),
            button=_("Approve"),
            done=_("The change was approved and applied."),
            do=partial(proposals.approve, apply=partial(replay.apply, self.admin_site, request)),
        )
        return self._decide(request, object_id, "approve", decision)

    @deed
    def reject_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        decision = ConfirmedAction(
            title=_("Reject this change?"),
            question=_("The change is not applied. It can be proposed again."),
            button=_("Reject"),
            done=_("The change was rejected."),
            do=proposals.reject,
        )
        return self._decide(request, object_id, "reject", decision)

    @deed
    def withdraw_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        decision = ConfirmedAction(
            title=_("Withdraw this change?"),
            question=_("The change is not applied. It can be proposed again."),
            button=_("Withdraw"),
            done=_("The change was withdrawn."),
            do=proposals.withdraw,
        )
        return self._decide(request, object_id, "withdraw", decision)

    def _decide(
        self, request: HttpRequest, object_id: str, name: str, decision: ConfirmedAction
    ) -> HttpResponse:
        proposal = self._found(request, object_id, name)
        back = self.url("change", proposal.pk)
        form = RevocationForm(request.POST if request.method == "POST" else None)
        if name not in self._open_to(request, proposal):
            self.message_user(request, _refusal(proposal), messages.WARNING)
            return HttpResponseRedirect(back)
        if not form.is_valid():
            return ask(self, request, self._question(proposal, back, form, decision))
        try:
            decision.do(proposal, context_of(request), reason=form.cleaned_data["reason"])
        except OAuthError as error:
            self.message_user(request, error.description, messages.WARNING)
        else:
            self.message_user(request, decision.done, messages.SUCCESS)
        return HttpResponseRedirect(back)

    def _found(self, request: HttpRequest, object_id: str, name: str) -> ProposedChange:
        if name != "withdraw":
            self.require(request, "decide")
        if not self.has_view_permission(request):
            raise PermissionDenied
        found: ProposedChange = self.find(request, object_id)
        if name == "withdraw" and context_of(request).actor != found.proposed_by:
            raise PermissionDenied
        return found

    def _question(
        self, proposal: Any, back: str, form: RevocationForm, decision: ConfirmedAction
    ) -> ConfirmationPage:
        lines = [_("Proposed by %(operator)s.") % {"operator": self.proposer(proposal)}]
        if proposal.reason:
            lines.append(_("Reason: %(reason)s") % {"reason": proposal.reason})
        if proposal.change == ProposedChange.Change.ADDED and proposal.kind == _Kind.CLIENT:
            lines.append(_("Its secret is not stored. Generate one with “New secret” on its page."))
        return ConfirmationPage(
            title=decision.title,
            question=decision.question,
            consequences=[*map(str, _changed(proposal)), *lines],
            button=decision.button,
            back=back,
            form=form,
            record=proposal,
            about=str(proposal),
        )

    def _open_to(self, request: HttpRequest, proposal: ProposedChange) -> tuple[str, ...]:
        if not proposals.is_pending(proposal):
            return ()
        if context_of(request).actor == proposal.proposed_by:
            return ("withdraw",)
        return ("approve", "reject") if self.may(request, "decide") else ()

    def _link(self, request: HttpRequest, proposal: ProposedChange) -> str:
        models: dict[str, type[Model]] = {
            _Kind.CLIENT: toolkit.application_model(),
            _Kind.RESOURCE_SERVER: ResourceServer,
            _Kind.BLOCK: DelegationBlock,
        }
        key = proposal.key
        row = models[proposal.kind]._default_manager.filter(pk=key).first() if key else None
        text = proposal.name if row is not None or not key else _("Deleted.")
        return labels.link(self.admin_site, request, row, text)


def _changed(proposal: ProposedChange) -> list[changed_values.Changed]:
    return changed_values.of(
        {"before": proposal.before, "after": proposal.after, "kind": proposal.kind}
    )


def _table(proposal: ProposedChange) -> Table:
    wider = _wider(proposal)
    rows: list[tuple[Any, ...]] = [
        (each.label, each.before, each.after, _("grants more access") if each.name in wider else "")
        for each in _changed(proposal)
    ]
    columns = (_("field"), _("before"), _("after"), _("effect"))
    return Table(_("Changes"), columns, rows, most=len(rows) + 1)


def _wider(proposal: ProposedChange) -> Collection[str]:
    values = Diff(proposal.before, proposal.after)
    match proposal.kind:
        case _Kind.CLIENT:
            return widening.widened(widening.of_client(_client_type(proposal)), values)
        case _Kind.RESOURCE_SERVER:
            return widening.widened(widening.RESOURCE_SERVER, values)
        case _:
            return {"blocked"}


def _client_type(proposal: ProposedChange) -> str | None:
    if "client_type" in proposal.after or not proposal.key:
        named: str | None = proposal.after.get("client_type")
        return named
    rows = toolkit.application_model()._default_manager.filter(pk=proposal.key)
    found: str | None = rows.values_list("client_type", flat=True).first()
    return found


def _refusal(proposal: ProposedChange) -> str:
    if proposals.is_pending(proposal):
        return _("Another operator must decide on your proposal.")
    return _("This change is no longer pending.")
