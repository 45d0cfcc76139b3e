"""Resource servers: where tokens can be valid."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from delegation_app.admin.changes import changed_fields
from delegation_app.admin.origin import origin_of
from delegation_app.admin.readable import ReadableAdmin
from delegation_app.admin.readonly import HISTORY, STYLES
from delegation_app.forms import ResourceServerForm
from delegation_app.models import ResourceServer
from delegation_app.services.registry import record_resource_server_change


@admin.register(ResourceServer)
class ResourceServerAdmin(ReadableAdmin, admin.ModelAdmin):  # type: ignore[type-arg]  # not generic at run time
    """Added and changed by operators; each change is recorded."""

    form = ResourceServerForm
    object_history_template = HISTORY
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
        """Keep the identifier: it stands in delegations and in tokens that are out already."""
        del request
        return () if obj is None else ("identifier",)

    def save_related(
        self, request: HttpRequest, form: ModelForm[Any], formsets: Any, change: Any
    ) -> None:
        """Save, and record what differs now."""
        super().save_related(request, form, formsets, change)
        fields = changed_fields(form, formsets)
        if fields or not change:
            record_resource_server_change(
                form.instance,
                origin_of(request),
                change="changed" if change else "added",
                fields=fields,
            )

    def delete_model(self, request: HttpRequest, obj: ResourceServer) -> None:
        """Record it, and delete."""
        record_resource_server_change(obj, origin_of(request), change="deleted")
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Record each, and delete them."""
        for server in queryset:
            record_resource_server_change(server, origin_of(request), change="deleted")
        super().delete_queryset(request, queryset)
