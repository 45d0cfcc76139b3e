"""The list of delegations in the admin: its columns, filters and search."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.contrib.admin.widgets import AutocompleteSelect
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.forms import Media
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext_lazy as _

from delegation_app import toolkit
from delegation_app.admin.base import ReadOnlyAdmin
from delegation_app.admin.delegations import changelist, summary
from delegation_app.admin.delegations.changelist import DelegationChangeList
from delegation_app.admin.delegations.filters import OF_DELEGATIONS
from delegation_app.models import Delegation
from delegation_app.protocol.requests import reading
from delegation_app.services.clients import grant_types
from delegation_app.services.delegations.state import state, with_state


class DelegationListAdmin(ReadOnlyAdmin):
    """Delegations in the order of issue, paginated."""

    list_display = (
        "sentence",
        "state_mark",
        "person",
        "client",
        "level",
        "grant",
        "issued_at",
        "expires_at",
        "last_used_at",
    )
    list_filter = OF_DELEGATIONS
    list_select_related = ("principal_user", "principal_client", "delegate")
    # The list has a fixed order; see `services/delegations/listing.py`
    sortable_by = ()
    search_fields = ("subject",)
    search_help_text = _("A user, a client, a subject or a delegation id.")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Annotate whether each delegation is in force, in the same query."""
        return with_state(super().get_queryset(request))

    def search(self, rows: QuerySet[Any], term: str) -> QuerySet[Any]:
        """Leave the search to the change list, which reads all parameters."""
        del term
        return rows

    def get_changelist(self, request: HttpRequest, **_kwargs: Any) -> type[ChangeList]:
        """Use keyset pagination."""
        del request
        return DelegationChangeList

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the list. A client selected by its key is replaced by its client id in the URL."""
        if (key := request.GET.get("client_key")) is not None:
            return HttpResponseRedirect(_with_client(request, key))
        return super().changelist_view(
            request,
            {
                "bulk_url": self._bulk_url(request),
                "media": self._list_media(),
                **(extra_context or {}),
            },
        )

    def _list_media(self) -> Media:
        # The media of Django's autocomplete fields, for the filter by client
        field = Delegation._meta.get_field("delegate")
        finder = AutocompleteSelect(field, self.admin_site).media
        found: Media = self.media + finder
        return found

    def _bulk_url(self, request: HttpRequest) -> str:
        query = request.GET.copy()
        for name in set(query) - changelist.PARAMETERS:
            del query[name]
        may = any(query.values()) and self.may(request, "revoke")
        return f"{self.url('bulk')}?{query.urlencode()}" if may else ""

    @admin.display(description=_("summary"))
    def sentence(self, obj: Delegation) -> str:
        """Summarize the delegation in a sentence."""
        return str(obj.sentence)  # type: ignore[attr-defined]  # set by the list

    @admin.display(description=_("user"))
    def person(self, obj: Delegation) -> str:
        """Link to the principal."""
        return str(obj.person_link)  # type: ignore[attr-defined]  # set by the list

    @admin.display(description=_("client"))
    def client(self, obj: Delegation) -> str:
        """Link to the delegate."""
        return str(obj.client_link)  # type: ignore[attr-defined]  # set by the list

    @admin.display(description=_("state"))
    def state_mark(self, obj: Delegation) -> str:
        """Show the state as a color, a shape and a word."""
        return summary.mark(state(obj))

    @admin.display(description=_("depth"))
    def level(self, obj: Delegation) -> str:
        """Show the depth of child delegations."""
        return f"↳ {obj.depth}" if obj.depth else str(self.get_empty_value_display())

    @admin.display(description=_("grant type"))
    def grant(self, obj: Delegation) -> str:
        """Name the grant type."""
        return grant_types.label(obj.grant_type)


def _with_client(request: HttpRequest, key: str) -> str:
    query = request.GET.copy()
    query.pop("client_key")
    model = toolkit.application_model()
    try:
        query["client"] = model._default_manager.get(pk=reading.text(key)).client_id
    except (model.DoesNotExist, ValidationError, ValueError):
        query.pop("client", None)
    return f"{request.path}?{query.urlencode()}"
