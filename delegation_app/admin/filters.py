"""Filters of the lists. Their choices come from the registries, never from a scan of the table."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import SimpleListFilter
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from delegation_app.events import REGISTRY as EVENTS
from delegation_app.forms import grant_choices
from delegation_app.grants import REGISTRY as GRANTS
from delegation_app.models import Delegation

_State = Delegation.State
_Choices = list[tuple[str, Any]]


def in_state(rows: QuerySet[Delegation], state: str) -> QuerySet[Delegation]:
    """Keep the delegations in a state; see `Delegation.State`."""
    now = timezone.now()
    live = Exists(Delegation.objects.live(now).filter(pk=OuterRef("pk")))
    current = rows.filter(Q(expires_at=None) | Q(expires_at__gt=now), revoked_at=None)
    match state:
        case _State.LIVE:
            return rows.filter(live)
        case _State.SUSPENDED:
            return current.filter(~live)
        case _State.EXPIRED:
            return rows.filter(expires_at__lte=now, revoked_at=None)
        case _State.REVOKED:
            return rows.filter(revoked_at__isnull=False)
        case _:
            return rows


class StateFilter(SimpleListFilter):
    """Delegations by state."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> _Choices:
        """Return the states."""
        del request, model_admin
        return list(_State.choices)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Keep those in the chosen state."""
        del request
        return in_state(queryset, self.value() or "")


class GrantTypeFilter(SimpleListFilter):
    """Delegations by the grant type that opened them."""

    title = _("grant type")
    parameter_name = "grant"

    def lookups(self, request: HttpRequest, model_admin: Any) -> _Choices:
        """Return the grant types."""
        del request, model_admin
        return list(grant_choices(GRANTS))

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Keep those of the chosen type."""
        del request
        return queryset.filter(grant_type=self.value()) if self.value() else queryset


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
