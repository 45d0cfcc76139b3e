"""Filters of the lists. Their choices come from the registries, never from a scan of the table."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import SimpleListFilter
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext_lazy as _

from delegation_app.events import REGISTRY as EVENTS
from delegation_app.models import AuditEvent
from delegation_app.protocol.names import TOKEN_EXCHANGE

_Choices = list[tuple[str, Any]]


class EventFilter(SimpleListFilter):
    """Audit events by kind."""

    title = _("event")
    parameter_name = "event"

    def lookups(self, request: HttpRequest, model_admin: Any) -> _Choices:
        """Return the labels of all events."""
        del request, model_admin
        return [(event.name, event.label) for event in EVENTS.values()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Keep those of the chosen kind."""
        del request
        return queryset.filter(event=self.value()) if self.value() else queryset


class EndpointFilter(SimpleListFilter):
    """Refusals by where they were asked for."""

    title = _("refused at")
    parameter_name = "endpoint"

    def lookups(self, request: HttpRequest, model_admin: Any) -> _Choices:
        """Return the endpoints that refuse anything to clients."""
        del request, model_admin
        return [
            ("exchange", _("token exchange")),
            ("token", _("token")),
            ("authorize", _("authorization")),
            ("device_authorization", _("device authorization")),
            ("introspect", _("introspection")),
            ("revoke", _("revocation")),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Keep the refusals of the chosen endpoint."""
        chosen = self.value()
        if chosen not in {name for name, _label in self.lookups(request, None)}:
            return queryset
        try:
            path = reverse(f"delegation_app:{chosen}")
        except NoReverseMatch:
            return queryset.none()
        there = Q(details__endpoint=path)
        if chosen == "exchange":
            # The token endpoint takes exchanges too
            there |= Q(details__grant_type=TOKEN_EXCHANGE)
        return queryset.filter(there, outcome=AuditEvent.Outcome.REFUSED)


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
