"""Base classes of the admin pages: read-only records with a few actions."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, ClassVar, Final

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Model
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.functional import Promise, cached_property
from django.utils.translation import gettext_lazy as _

from delegation_app import http
from delegation_app.admin.database_unavailable import UnavailableDatabaseMixin
from delegation_app.admin.validated_lookups import ValidatedLookupsMixin
from delegation_app.protocol.claims import user_subject
from delegation_app.services import limits
from delegation_app.services.audit import RequestContext
from delegation_app.services.paging import RowCount

STYLES: Final = "delegation_app/admin.css"
DRAWN: Final = "delegation_app/console.css"
# Django's history page does not load the media of the admin class
HISTORY: Final = "admin/delegation_app/object_history.html"


class BoundedPaginator(Paginator):  # type: ignore[type-arg]  # not generic at run time
    """Counts up to `MOST`: an exact count of millions of rows is slow."""

    MOST: Final = limits.MAX_COUNT

    @cached_property
    def count(self) -> int:
        """The number of rows, at most `MOST`."""
        return self._counted.count

    @cached_property
    def _counted(self) -> RowCount:
        return RowCount.of(self.object_list, self.MOST)  # type: ignore[arg-type]

    @property
    def is_cut(self) -> bool:
        """Whether there are more rows than are paginated."""
        return self._counted.has_more


class ReadOnlyAdmin(UnavailableDatabaseMixin, ValidatedLookupsMixin, admin.ModelAdmin):  # type: ignore[type-arg]  # not generic at run time
    """Shows records. Not even superusers can add, change or delete them.

    Attributes:
        deed_pages: the pages of actions, by name: `revoke` is answered by `revoke_view`.
    """

    deed_pages: ClassVar[Mapping[str, str]] = {}
    actions: Any = None
    list_per_page = 50
    show_full_result_count = False
    paginator = BoundedPaginator
    # Counts beside each filter choice are as many counts of the whole table.
    show_facets = admin.ShowFacets.NEVER

    class Media:
        css: ClassVar = {"all": [STYLES, DRAWN]}

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def get_urls(self) -> list[URLPattern]:
        own = [
            path(
                route,
                self.admin_site.admin_view(getattr(self, f"{name}_view")),
                name=f"{self.opts.app_label}_{self.opts.model_name}_{name}",
            )
            for name, route in self.deed_pages.items()
        ]
        return own + super().get_urls()

    def page_context(self, request: HttpRequest, obj: Any) -> dict[str, Any]:
        """Return the additional context of a record's page."""
        return {}

    def render_change_form(  # noqa: PLR0917 - Django's signature
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,  # noqa: FBT001, FBT002 - Django's signature
        change: bool = False,  # noqa: FBT001, FBT002 - Django's signature
        form_url: str = "",
        obj: Any = None,
    ) -> HttpResponse:
        context |= self.page_context(request, obj)
        return super().render_change_form(request, context, add, change, form_url, obj)

    def url(self, name: str, *args: object) -> str:
        """Return the URL of one of this model's pages."""
        route = f"admin:{self.opts.app_label}_{self.opts.model_name}_{name}"
        return reverse(route, args=args, current_app=self.admin_site.name)

    def may(self, request: HttpRequest, deed: str) -> bool:
        """Whether the user may view the records and has the permission of the action."""
        return self.has_view_permission(request) and request.user.has_perm(
            f"{self.opts.app_label}.{deed}_{self.opts.model_name}"
        )

    def require(self, request: HttpRequest, deed: str) -> None:
        """Require the permission of an action.

        Raises:
            PermissionDenied: the user lacks it.
        """
        if not self.may(request, deed):
            raise PermissionDenied

    def find(self, request: HttpRequest, object_id: str) -> Any:
        """Return the record with this id.

        Raises:
            Http404: it does not exist.
        """
        found = self.get_object(request, unquote(object_id))
        if found is None:
            raise Http404(_("This record does not exist."))
        return found


def render(
    page: ReadOnlyAdmin,
    request: HttpRequest,
    template: str,
    title: str | Promise,
    context: Mapping[str, Any],
    *,
    status: int = HTTPStatus.OK,
) -> TemplateResponse:
    """Return a page of the audit trail."""
    request.current_app = page.admin_site.name
    shared = {
        **page.admin_site.each_context(request),
        "title": title,
        "subtitle": None,
        "opts": page.opts,
        "media": page.media,
    }
    name = f"admin/delegation_app/auditevent/{template}.html"
    return TemplateResponse(request, name, {**shared, **context}, status=status)


def context_of(request: HttpRequest) -> RequestContext:
    """Return the RequestContext of the operator."""
    return http.context_of(request, actor=user_subject(request.user.pk))
