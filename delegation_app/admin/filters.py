"""Filters of the lists. Their choices come from the registries, never from a scan of the table."""

from __future__ import annotations

from typing import Any, Final

from django.contrib.admin import SimpleListFilter
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from delegation_app.admin import names, summary
from delegation_app.forms import grant_choices
from delegation_app.grants import REGISTRY as GRANTS
from delegation_app.models import ConsentRecord, Delegation
from delegation_app.services.states import in_state

_State = Delegation.State
_Choices = list[tuple[str, Any]]


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


class OriginFilter(SimpleListFilter):
    """Delegations by whether they were made from another one."""

    title = _("made from")
    parameter_name = "from"

    def lookups(self, request: HttpRequest, model_admin: Any) -> _Choices:
        """Return the two."""
        del request, model_admin
        return [("roots", _("nothing: granted directly")), ("handed_on", _("another: handed on"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Keep the one or the other."""
        del request
        if self.value() in {"roots", "handed_on"}:
            return queryset.filter(parent__isnull=self.value() == "roots")
        return queryset


class _OneDelegationFilter(SimpleListFilter):
    """Keeps what has to do with one delegation. Only links lead here, so it has one choice."""

    path: str

    def lookups(self, request: HttpRequest, model_admin: Any) -> _Choices:
        """Return the delegation that the address names, so that one sees why the list is short."""
        del request, model_admin
        value = self.value()
        if value is None:
            return []
        related = ("principal_user", "principal_client", "delegate")
        rows = Delegation.objects.select_related(*related)
        public_id = names.as_uuid(value)
        found = None if public_id is None else rows.filter(public_id=public_id).first()
        return [(value, _("no such delegation") if found is None else summary.short(found))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Keep those. An id that is none keeps nothing: all that is listed can be revoked."""
        del request
        value = self.value()
        if value is None:
            return queryset
        public_id = names.as_uuid(value)
        return queryset.none() if public_id is None else queryset.filter(**{self.path: public_id})


class ParentFilter(_OneDelegationFilter):
    """What was made from one delegation."""

    title = _("made from this one")
    parameter_name = "parent"
    path = "parent__public_id"


class TreeFilter(_OneDelegationFilter):
    """The whole tree below one root."""

    title = _("tree")
    parameter_name = "root"
    path = "root__public_id"


OF_DELEGATIONS: Final = (StateFilter, OriginFilter, ParentFilter, TreeFilter, GrantTypeFilter)


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
            return queryset & ConsentRecord.objects.awaiting(timezone.now())
        if chosen in {name for name, _label in self.lookups(request, None)}:
            return queryset.filter(confirmation=chosen)
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
