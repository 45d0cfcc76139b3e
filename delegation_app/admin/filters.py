"""Filters of lists, with choices from the registries and without a scan of the table."""

from __future__ import annotations

from typing import Any, Final

from django.contrib.admin import SimpleListFilter
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from delegation_app import clock
from delegation_app.models import ConsentRecord
from delegation_app.services.consent import regranted_authority

_Choices = list[tuple[str, Any]]


class ConfirmationFilter(SimpleListFilter):
    """Consents by their approval; `pending` is the queue."""

    title = _("confirmation")
    parameter_name = "confirmation"

    def lookups(self, request: HttpRequest, model_admin: Any) -> _Choices:
        del request, model_admin
        return [choice for choice in ConsentRecord.Confirmation.choices if choice[0]]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Filter by state. Pending excludes consents that can no longer be approved."""
        chosen = self.value()
        if chosen == ConsentRecord.Confirmation.PENDING:
            return queryset & ConsentRecord.objects.awaiting(clock.now())
        if chosen in {name for name, _label in self.lookups(request, None)}:
            return queryset.filter(confirmation=chosen)
        return queryset


class LiftedFilter(SimpleListFilter):
    """Blocks by whether they bind: neither lifted by an operator nor allowed again by the user."""

    ACTIVE: Final = "no"
    title = _("state")
    parameter_name = "lifted"

    def lookups(self, request: HttpRequest, model_admin: Any) -> _Choices:
        del request, model_admin
        return [(self.ACTIVE, _("Active")), ("again", _("Allowed again")), ("yes", _("Lifted"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        del request
        if self.value() == "yes":
            return queryset.filter(lifted_at__isnull=False)
        if self.value() not in {self.ACTIVE, "again"}:
            return queryset
        rows = queryset.filter(lifted_at=None)
        overcome = list(regranted_authority.keys(rows.order_by("pk")))
        return (
            rows.filter(pk__in=overcome)
            if self.value() == "again"
            else rows.exclude(pk__in=overcome)
        )


class WithdrawnFilter(SimpleListFilter):
    """Consents by whether they are withdrawn."""

    title = _("withdrawn")
    parameter_name = "withdrawn"

    def lookups(self, request: HttpRequest, model_admin: Any) -> _Choices:
        del request, model_admin
        return [("yes", _("Yes")), ("no", _("No"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        del request
        if self.value() in {"yes", "no"}:
            return queryset.filter(withdrawn_at__isnull=self.value() == "no")
        return queryset
