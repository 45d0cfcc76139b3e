"""Delegations in the admin: their pages and actions."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _

from delegation_app.admin import constraint_display, labels
from delegation_app.admin.blocks import admin as blocks_admin
from delegation_app.admin.confirmation import deed
from delegation_app.admin.delegations import (
    actions,
    issued,
    revoke_all,
    revoke_list,
    summary,
    timeline,
    tree,
    tree_svg,
)
from delegation_app.admin.delegations.columns import DelegationListAdmin
from delegation_app.models import AuditEvent, Delegation
from delegation_app.services.delegations import state


@admin.register(Delegation)
class DelegationAdmin(DelegationListAdmin):
    """Read-only, with two actions: revoke and narrow."""

    deed_pages: ClassVar = {
        "bulk": "bulk/",
        "client": "of-client/<str:key>/",
        "revoke": "<path:object_id>/revoke/",
        "narrow": "<path:object_id>/narrow/",
        "everything": "<path:object_id>/everything/<str:whose>/",
    }
    actions = ("revoke_selected",)
    fieldsets = (
        (None, {"fields": ("who", "to_whom", "state", "public_id")}),
        (_("What"), {"fields": ("scopes", "audience", "constraint_list", "grant")}),
        (_("When"), {"fields": ("issued_at", "expires_at", "last_used_at", "auth_time", "acr")}),
        (
            _("As recorded"),
            {
                "fields": ("subject", "delegate_client_id", "depth", "recorded"),
                "classes": ("collapse",),
            },
        ),
    )

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        fieldsets = list(super().get_fieldsets(request, obj))
        if obj is not None and obj.max_uses is not None:
            heading, options = fieldsets[1]
            fieldsets[1] = (heading, {"fields": (*options["fields"], "used_up")})
        if obj is not None and obj.revoked_at is not None:
            fields = ("revoked_at", "revoked_by_whom", "revocation_reason")
            fieldsets.insert(1, (_("Revocation"), {"fields": fields}))
        return fieldsets

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Any:
        found = super().get_object(request, object_id, from_field)
        if found is None:
            return None
        related = (*self.list_select_related, "consent", "parent__delegate")
        return self.get_queryset(request).select_related(*related).get(pk=found.pk)

    @admin.display(description=_("who"))
    def who(self, obj: Delegation) -> str:
        """Name the principal."""
        return summary.principal(obj)

    @admin.display(description=_("to whom"))
    def to_whom(self, obj: Delegation) -> str:
        """Name the client."""
        return labels.of_client(obj.delegate, obj.delegate_client_id)

    @admin.display(description=_("state"))
    def state(self, obj: Delegation) -> str:
        """Show the state in a word."""
        return summary.state_word(state.state(obj))

    @admin.display(description=_("constraints"))
    def constraint_list(self, obj: Delegation) -> str:
        return constraint_display.as_list(obj.constraints)

    @admin.display(description=_("actors and constraints"))
    def recorded(self, obj: Delegation) -> str:
        """Show what is stored; the current actor first."""
        return constraint_display.as_text(
            {"actors": obj.actors, "constraints": obj.constraints.as_json()}
        )

    @admin.display(description=_("tokens issued"))
    def used_up(self, obj: Delegation) -> str:
        """Show how many of the allowed tokens were issued."""
        words = {"count": obj.uses, "most": obj.max_uses}
        return _("%(count)d of %(most)d, here and below") % words

    @admin.display(description=_("revoked by"))
    def revoked_by_whom(self, obj: Delegation) -> str:
        """Name the user or client that revoked it."""
        return labels.with_name(obj.revoked_by, labels.of_subjects([obj.revoked_by]))

    def page_context(self, request: HttpRequest, obj: Any) -> dict[str, Any]:
        around = tree.of(self, request, obj)
        return {
            "subtitle": summary.short(obj),
            "summary": summary.sentences(obj),
            "limits": obj.constraints.describe(),
            "related": [
                *summary.related(self.admin_site, request, obj),
                *blocks_admin.lists(self.admin_site, request, obj),
            ],
            "tree": around,
            "drawing": tree_svg.of(around),
            "marks": [summary.mark(state) for state in Delegation.State],
            "timeline": timeline.of(self.admin_site, request, obj),
            "events_url": labels.list_address(
                self.admin_site, request, AuditEvent, q=obj.public_id
            ),
            "tables": issued.tables(request, obj),
            "revoke_url": self.url("revoke", obj.pk) if self.may_revoke(request, obj) else "",
            "narrow_url": self.url("narrow", obj.pk) if self.may_narrow(request, obj) else "",
            "everything": revoke_all.links(self, obj) if self.may(request, "revoke") else (),
            "person_url": self._person_url(request, obj),
            **blocks_admin.of_delegation(self, request, obj),
        }

    def _person_url(self, request: HttpRequest, obj: Delegation) -> str:
        may = obj.principal_user is not None and self.may_revoke(request, obj)
        return self.url("everything", obj.pk, "person") if may else ""

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        """Return whether this user may revoke; Django calls it for the bulk action."""
        return self.may(request, "revoke")

    def may_revoke(self, request: HttpRequest, obj: Delegation) -> bool:
        """Return whether it can be revoked, and by this user."""
        return obj.revoked_at is None and self.may(request, "revoke")

    def may_narrow(self, request: HttpRequest, obj: Delegation) -> bool:
        """Return whether it can be narrowed, and by this user."""
        return self.may(request, "narrow") and state.state(obj) is Delegation.State.LIVE

    @deed
    def revoke_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Confirm and revoke."""
        self.require(request, "revoke")
        return actions.revoke(self, request, self.find(request, object_id))

    @deed
    def narrow_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Confirm and narrow."""
        self.require(request, "narrow")
        return actions.narrow(self, request, self.find(request, object_id))

    @deed
    def everything_view(self, request: HttpRequest, object_id: str, whose: str) -> HttpResponse:
        """Confirm and revoke all of its user, of its client or of both."""
        self.require(request, "revoke")
        return revoke_all.from_delegation(self, request, self.find(request, object_id), whose)

    @deed
    def bulk_view(self, request: HttpRequest) -> HttpResponse:
        """Confirm and revoke all of a filtered list, in batches."""
        self.require(request, "revoke")
        return revoke_list.revoke(self, request)

    @deed
    def client_view(self, request: HttpRequest, key: str) -> HttpResponse:
        """Confirm and revoke all that a client holds."""
        self.require(request, "revoke")
        return revoke_all.from_client(self, request, key)

    @admin.action(permissions=["revoke"], description=_("Revoke selected delegations"))
    def revoke_selected(
        self, request: HttpRequest, queryset: QuerySet[Delegation]
    ) -> HttpResponse | None:
        """Confirm and revoke each."""
        return actions.revoke_each(self, request, queryset)
