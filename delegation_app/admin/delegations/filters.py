"""Filters of the list of delegations, which `changelist.chosen` evaluates."""

from __future__ import annotations

from typing import Any, Final

from django.contrib.admin import SimpleListFilter
from django.contrib.admin.widgets import get_select2_language
from django.http import HttpRequest, QueryDict
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from delegation_app import toolkit
from delegation_app.admin.delegations import summary
from delegation_app.models import Delegation
from delegation_app.protocol.requests.public_id import as_uuid
from delegation_app.services import name_search
from delegation_app.services.clients import grant_types
from delegation_app.services.delegations.filters import DelegationFilter

_Choices = list[tuple[str, Any]]


class _Filter(SimpleListFilter):
    """A filter with choices only: `changelist.chosen` filters the rows."""

    among: tuple[tuple[str, str | Promise], ...] = ()

    def lookups(self, request: HttpRequest, model_admin: Any) -> _Choices:
        del request, model_admin
        return list(self.among)

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        del request
        return queryset


class StateFilter(_Filter):
    """By state."""

    title = _("state")
    parameter_name = "state"
    among = tuple(Delegation.State.choices)


class GrantTypeFilter(_Filter):
    """By grant type."""

    title = _("grant type")
    parameter_name = "grant"
    among = tuple(grant_types.LABELS.items())


class AgeFilter(_Filter):
    """By the time of issue."""

    title = _("age")
    parameter_name = "age"
    among = (
        ("day", _("less than 24 hours")),
        ("week", _("less than 7 days")),
        ("month", _("less than 30 days")),
        ("over-month", _("more than 30 days")),
        ("over-quarter", _("more than 90 days")),
        ("over-year", _("more than a year")),
    )


class LastUseFilter(_Filter):
    """By the last use."""

    title = _("last use")
    parameter_name = "used"
    among = (
        ("day", _("in the last 24 hours")),
        ("month", _("in the last 30 days")),
        ("not-month", _("not for 30 days")),
        ("not-quarter", _("not for 90 days")),
        ("not-year", _("not for a year")),
        ("never", _("never")),
    )


class ChildrenFilter(_Filter):
    """By whether there are child delegations."""

    title = _("has children")
    parameter_name = "children"
    among = (("yes", _("Yes")), ("no", _("No")))


class OriginFilter(_Filter):
    """By whether there is a parent."""

    title = _("origin")
    parameter_name = "from"
    among = (
        ("roots", _("nothing: granted directly")),
        ("chained", _("another delegation")),
    )


class ClientFilter(_Filter):
    """By client: the user enters a client id, or with scripts searches by name."""

    title = _("client")
    parameter_name = "client"
    template = "admin/delegation_app/client_filter.html"

    def __init__(self, request: HttpRequest, params: Any, model: Any, model_admin: Any) -> None:
        self.site = model_admin.admin_site
        super().__init__(request, params, model, model_admin)

    def has_output(self) -> bool:
        """Return True, since it has an input field."""
        return True

    def choices(self, changelist: Any) -> Any:
        others = changelist.get_filters_params()
        value = self.value() or ""
        yield {
            "selected": bool(value),
            "query_string": changelist.get_query_string(remove=[self.parameter_name]),
            "display": name_search.client_names([value]).get(value, value) if value else "",
            "value": value,
            "others": [
                (name, text) for name, texts in others.items() if name != "client" for text in texts
            ]
            + ([("q", changelist.query)] if changelist.query else []),
            "finder": self._finder(),
            "language": get_select2_language(),
        }

    def _finder(self) -> str:
        model = toolkit.application_model()
        if not self.site.is_registered(model):
            return ""
        page = self.site.get_model_admin(model)
        may = page.has_view_permission(self.request) and page.get_search_fields(self.request)
        return reverse("admin:autocomplete", current_app=self.site.name) if may else ""


class _OneDelegationFilter(_Filter):
    """Keeps the relatives of one delegation. Set by links only, so it has one choice."""

    def lookups(self, request: HttpRequest, model_admin: Any) -> _Choices:
        del request, model_admin
        value = self.value()
        if value is None:
            return []
        related = ("principal_user", "principal_client", "delegate")
        rows = Delegation.objects.select_related(*related)
        public_id = as_uuid(value, as_typed=True)
        found = None if public_id is None else rows.filter(public_id=public_id).first()
        return [(value, _("no such delegation") if found is None else summary.short(found))]


class ParentFilter(_OneDelegationFilter):
    """The children of one delegation."""

    title = _("children of this one")
    parameter_name = "parent"


class TreeFilter(_OneDelegationFilter):
    """The whole tree below one root."""

    title = _("tree")
    parameter_name = "root"


OF_DELEGATIONS: Final[tuple[type[_Filter], ...]] = (
    StateFilter,
    ClientFilter,
    GrantTypeFilter,
    AgeFilter,
    LastUseFilter,
    ChildrenFilter,
    OriginFilter,
    ParentFilter,
    TreeFilter,
)


def in_words(chosen: DelegationFilter, query: str) -> list[str]:
    """Return the filters of a list, a line each.

    Args:
        chosen: the filter of the list.
        query: the query string of the list.
    """
    params = QueryDict(query)
    lines = [_("search: %(term)s") % {"term": chosen.term}] if chosen.term else []
    for kind in OF_DELEGATIONS:
        value = params.get(str(kind.parameter_name))
        if value:
            labels = dict(kind.among)
            lines.append(f"{kind.title}: {labels.get(value, value)}")
    return lines
