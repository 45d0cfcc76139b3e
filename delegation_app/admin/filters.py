"""Filters of the lists. Their choices come from the registries, never from a scan of the table."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import SimpleListFilter
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from delegation_app import clock
from delegation_app.models import ConsentRecord

_Choices = list[tuple[str, Any]]


class ConfirmationFilter(SimpleListFilter):
    """Consents by what an operator has to say, or has said; `pending` is the queue."""

    title = _("confirmation")
    parameter_name = "confirmation"

    def lookups(self, request: HttpRequest, model_admin: Any) -> _Choices:
        """Return those that are about one."""
        del request, model_admin
        return [choice for choice in ConsentRecord.Confirmation.choices if choice[0]]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Keep the chosen ones; of the pending ones those that can still be confirmed."""
        chosen = self.value()
        if chosen == ConsentRecord.Confirmation.PENDING:
            return queryset & ConsentRecord.objects.awaiting(clock.now())
        if chosen in {name for name, _label in self.lookups(request, None)}:
            return queryset.filter(confirmation=chosen)
        return queryset


class LiftedFilter(SimpleListFilter):
    """Blocks by whether they still bind."""

    title = _("state")
    parameter_name = "lifted"

    def lookups(self, request: HttpRequest, model_admin: Any) -> _Choices:
        """Return the two states."""
        del request, model_admin
        return [("no", _("Active")), ("yes", _("Lifted"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Keep the one or the other."""
        del request
        if self.value() in {"yes", "no"}:
            return queryset.filter(lifted_at__isnull=self.value() == "no")
        return queryset


class WithdrawnFilter(SimpleListFilter):
    """Consents by whether they were withdrawn."""

    title = _("withdrawn")
    parameter_name = "withdrawn"

    def lookups(self, request: HttpRequest, model_admin: Any) -> _Choices:
        """Return yes and no."""
        del request, model_admin
        return [("yes", _("Yes")), ("no", _("No"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Keep the one or the other."""
        del request
        if self.value() in {"yes", "no"}:
            return queryset.filter(withdrawn_at__isnull=self.value() == "no")
        return queryset
