"""Resource servers."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _

from delegation_app.admin.base import HISTORY, STYLES
from delegation_app.admin.database_unavailable import UnavailableDatabaseMixin
from delegation_app.admin.proposals import pending_change
from delegation_app.admin.proposals.registered import RESOURCE_SERVERS, Registered
from delegation_app.admin.validated_lookups import ValidatedLookupsMixin
from delegation_app.forms import ResourceServerForm
from delegation_app.models import ResourceServer
from delegation_app.services.transactions import nested


@admin.register(ResourceServer)
class ResourceServerAdmin(
    UnavailableDatabaseMixin,
    Registered,
    ValidatedLookupsMixin,
    admin.ModelAdmin,  # type: ignore[type-arg]  # not generic at run time
):
    """Maintained by operators; each change is recorded."""

    REGISTER = RESOURCE_SERVERS
    form = ResourceServerForm
    object_history_template = HISTORY
    change_form_template = "admin/delegation_app/resourceserver/change_form.html"
    list_display = ("name", "identifier", "scopes", "token_format", "active")
    list_filter = ("active", "token_format")
    search_fields = ("name", "identifier")
    filter_horizontal = ("introspectors",)
    fieldsets = (
        (None, {"fields": ("name", "identifier", "active")}),
        (_("Tokens"), {"fields": ("scopes", "token_format")}),
        (_("Introspection"), {"fields": ("introspectors",)}),
    )

    class Media:
        css: ClassVar = {"all": [STYLES]}

    def get_readonly_fields(
        self, request: HttpRequest, obj: ResourceServer | None = None
    ) -> tuple[str, ...]:
        # Delegations and issued tokens refer to the identifier
        return () if obj is None else ("identifier",)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        obj = context.get("original")
        pk = None if obj is None else obj.pk
        context |= pending_change.context(self.admin_site, request, RESOURCE_SERVERS.kind, pk)
        return super().render_change_form(request, context, *args, **kwargs)

    def delete_model(self, request: HttpRequest, obj: ResourceServer) -> None:
        with nested():
            self.record_deletion(request, obj)
            super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        with nested():
            for server in queryset:
                self.record_deletion(request, server)
            super().delete_queryset(request, queryset)
