"""Client policies, on the toolkit's page of applications."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.contrib.admin import AdminSite
from django.contrib.admin.options import IS_POPUP_VAR
from django.contrib.admin.utils import flatten
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import NoReverseMatch
from django.utils.translation import gettext_lazy as _

from delegation_app import toolkit
from delegation_app.admin import constraint_display, labels
from delegation_app.admin.base import HISTORY, STYLES, context_of
from delegation_app.admin.clients import consent_settings
from delegation_app.admin.clients.policy_form import PolicyForm, PolicyFormSet
from delegation_app.admin.clients.secret import WithSecret
from delegation_app.admin.proposals import pending_change
from delegation_app.admin.proposals.registered import CLIENTS, Registered
from delegation_app.admin.validated_lookups import ValidatedKeysMixin, ValidatedLookupsMixin
from delegation_app.forms import (
    KeepsSecret,
    OffersServedGrants,
    RefusesShortSecret,
    UsableRedirects,
)
from delegation_app.models import ClientPolicy, Delegation, DelegationBlock
from delegation_app.services.clients import lookup, setup_problems
from delegation_app.services.delegations import revocation
from delegation_app.services.transactions import nested


class PolicyInline(consent_settings.ShowsLogo, ValidatedKeysMixin, admin.StackedInline):  # type: ignore[type-arg]  # not generic at run time
    """The policy of one client. It cannot be deleted: that would lift its restrictions."""

    model = ClientPolicy
    form = PolicyForm
    formset = PolicyFormSet
    template = "admin/delegation_app/policy_inline.html"
    can_delete = False
    max_num = extra = 1
    filter_horizontal = ("audiences",)
    fieldsets = (
        (None, {"fields": ("enabled", "grants", "scopes")}),
        (_("Audiences"), {"fields": ("audiences", "default_audience")}),
        (_("Limits"), {"fields": ("constraints", "may_request_constraints")}),
        (
            _("Token exchange"),
            {
                "fields": (
                    "may_act",
                    "may_impersonate",
                    "may_exchange_refresh_tokens",
                    "may_refresh_exchanged_tokens",
                ),
                "description": _(
                    "Requires the grant type token exchange. The audiences above are the targets."
                ),
            },
        ),
        (_("Consent"), {"fields": consent_settings.FIELDS}),
        (
            _("Authentication and requests"),
            {"fields": ("token_endpoint_auth_method", "drops_unavailable_scopes")},
        ),
        (
            _("Lifetimes"),
            {
                "fields": (
                    ("access_token_lifetime", "refresh_token_lifetime", "delegation_lifetime"),
                    "refresh_retry_window",
                )
            },
        ),
        (_("Internal tools"), {"fields": ("may_introspect_all",), "classes": ("collapse",)}),
    )

    class Media:
        css = {"all": [STYLES]}

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        fieldsets = super().get_fieldsets(request, obj)
        if self.has_change_permission(request, obj):
            return list(fieldsets)
        return [
            (
                heading,
                {
                    **options,
                    "fields": [
                        "constraint_list" if name == "constraints" else name
                        for name in options["fields"]
                        if name not in consent_settings.UPLOADS
                    ],
                },
            )
            for heading, options in fieldsets
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fields = (*super().get_readonly_fields(request, obj), "current_logo")
        may_change = self.has_change_permission(request, obj)
        return fields if may_change else (*fields, "constraint_list")

    @admin.display(description=_("constraints"))
    def constraint_list(self, obj: ClientPolicy) -> str:
        return constraint_display.as_list(obj.constraints)


class WithPolicy(Registered, WithSecret, ValidatedLookupsMixin):
    """Mixed into the site's admin class of applications."""

    REGISTER = CLIENTS

    def get_ordering(self, request: HttpRequest) -> Any:
        """Order by key if the site's class has no order: paginated lists need one."""
        return super().get_ordering(request) or ("-pk",)

    def get_inlines(self, request: HttpRequest, obj: Any) -> list[Any]:
        """Add the policy to the page of a stored client."""
        found = list(super().get_inlines(request, obj))
        return found if obj is None else [*found, PolicyInline]

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        """Hide the stored secret, even hashed, from users with view permission only."""
        fieldsets = super().get_fieldsets(request, obj)
        if self.has_change_permission(request, obj):
            return list(fieldsets)
        return [
            (
                heading,
                {
                    **options,
                    "fields": [n for n in flatten(options["fields"]) if n != "client_secret"],
                },
            )
            for heading, options in fieldsets
        ]

    def get_form(
        self,
        request: HttpRequest,
        obj: Any = None,
        change: bool = False,  # noqa: FBT001, FBT002 - Django's signature
        **kwargs: Any,
    ) -> Any:
        """Hide the stored secret, even hashed, and refuse unusable values."""
        form: Any = super().get_form(request, obj, change, **kwargs)
        form = type(form)(form.__name__, (OffersServedGrants, UsableRedirects, form), {})
        if "client_secret" not in form.base_fields:
            return form
        mixin = RefusesShortSecret if obj is None else KeepsSecret
        return type(form)(form.__name__, (mixin, form), {})

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Make the client id read-only: records, tokens and the audit trail refer to it."""
        fields = tuple(super().get_readonly_fields(request, obj))
        return fields if obj is None else (*fields, "client_id")

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        obj = context.get("original")
        if obj is not None:
            context |= self.secret_context(request, obj)
            found = lookup.find(obj.client_id)
            context["shortcomings"] = [] if found is None else setup_problems.of_client(found)
            context |= pending_change.context(self.admin_site, request, CLIENTS.kind, obj.pk)
        if obj is not None and self.admin_site.is_registered(Delegation):
            context |= _links(self.admin_site, request, obj)
        return super().render_change_form(request, context, *args, **kwargs)

    def revoke_all_url(self, request: HttpRequest, application: Any) -> str:
        """Return the URL to revoke all delegations of the client, if the user may."""
        if not self.admin_site.is_registered(Delegation):
            return ""
        return _links(self.admin_site, request, application).get("revoke_all_url", "")

    def get_view_on_site_url(self, obj: Any = None) -> str | None:
        """Omit the link to the toolkit's pages if the site has not mounted them."""
        if obj is not None and hasattr(obj, "get_absolute_url"):
            try:
                obj.get_absolute_url()
            except NoReverseMatch:
                return None
        return super().get_view_on_site_url(obj)

    def response_add(self, request: HttpRequest, obj: Any, *args: Any) -> HttpResponse:
        """Continue on the page with the policy, as Django does for new users."""
        if "_addanother" not in request.POST and IS_POPUP_VAR not in request.POST:
            posted = request.POST.copy()
            posted["_continue"] = "1"
            request.POST = posted  # type: ignore[assignment]  # as Django's UserAdmin does
        return super().response_add(request, obj, *args)

    def save_further(self, formsets: Any) -> None:
        consent_settings.save_logos(formsets)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        """Revoke the delegations of the client as the operator, then delete it."""
        with nested():
            self._end(request, obj)
            super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        with nested():
            for application in queryset:
                self._end(request, application)
            super().delete_queryset(request, queryset)

    def _end(self, request: HttpRequest, application: Any) -> None:
        reason = "the client was deleted"
        origin = context_of(request)
        revocation.of_client(application, origin, reason=reason, leaves_block=False)
        self.record_deletion(request, application)


def extend(site: AdminSite = admin.site) -> None:
    """Add policies to the site's admin page of applications, if it has one. Idempotent.

    The toolkit registers its admin on import, so it is imported here. A site may register its own
    later, so the app's `ready` calls this again.
    """
    toolkit.load_admin()
    model = toolkit.application_model()
    if not site.is_registered(model):
        return
    registered = type(site.get_model_admin(model))
    if not issubclass(registered, WithPolicy):
        site.unregister(model)
        more = {"object_history_template": registered.object_history_template or HISTORY}
        site.register(model, type(registered.__name__, (WithPolicy, registered), more))


def _links(site: AdminSite, request: HttpRequest, application: Any) -> dict[str, str]:
    page: Any = site.get_model_admin(Delegation)
    if not page.has_view_permission(request):
        return {}
    query = urlencode({"q": application.client_id})
    found = {"delegations_url": f"{page.url('changelist')}?{query}"}
    if page.may(request, "revoke"):
        found["revoke_all_url"] = page.url("client", application.pk)
    found["blocks_url"] = labels.list_address(
        site, request, DelegationBlock, q=application.client_id, lifted="no"
    )
    return found


extend()
