"""Client policies, on the page that the toolkit has for its applications."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.admin import AdminSite
from django.contrib.admin.options import IS_POPUP_VAR
from django.contrib.admin.utils import flatten
from django.db.models import QuerySet
from django.forms import BaseInlineFormSet, ModelForm
from django.http import HttpRequest, HttpResponse
from django.urls import NoReverseMatch
from django.utils.translation import gettext_lazy as _

from delegation_app import toolkit
from delegation_app.admin.changes import changed_fields
from delegation_app.admin.origin import origin_of
from delegation_app.admin.readonly import STYLES
from delegation_app.forms import ClientPolicyForm, KeepsSecret
from delegation_app.grants import REGISTRY
from delegation_app.models import ClientPolicy
from delegation_app.services import clients, revoke
from delegation_app.services.registry import record_client_change

if TYPE_CHECKING:
    _Admin = admin.ModelAdmin[Any]
else:
    _Admin = object


class PolicyForm(ClientPolicyForm):
    """The form, with the grant types that are installed."""

    grant_types = tuple(REGISTRY)


class PolicyFormSet(BaseInlineFormSet):  # type: ignore[type-arg]  # not generic at run time
    """A client without a policy is shown what it may do all the same.

    As long as nobody changes these values they are not stored, and follow the application.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        application = kwargs.get("instance")
        if application is not None and application.pk is not None:
            client = clients.from_rows(application, ())
            if client.policy._state.adding:  # noqa: SLF001 - Django's documented way to ask
                kwargs["initial"] = [_derived(client)]
        super().__init__(*args, **kwargs)


class PolicyInline(admin.StackedInline):  # type: ignore[type-arg]  # not generic at run time
    """The policy of one client. It can't be deleted: that would give back what it took away."""

    model = ClientPolicy
    form = PolicyForm
    formset = PolicyFormSet
    can_delete = False
    max_num = extra = 1
    filter_horizontal = ("audiences",)
    fieldsets = (
        (None, {"fields": ("enabled", "grants", "scopes")}),
        (_("Where its tokens are valid"), {"fields": ("audiences", "default_audience")}),
        (_("How it is treated"), {"fields": ("token_endpoint_auth_method", "always_ask")}),
        (
            _("Lifetimes"),
            {
                "fields": (
                    ("access_token_lifetime", "refresh_token_lifetime", "delegation_lifetime"),
                )
            },
        ),
        (_("Operators' tools"), {"fields": ("may_introspect_all",), "classes": ("collapse",)}),
    )

    class Media:
        css = {"all": [STYLES]}


class WithPolicy(_Admin):
    """Mixed into whatever class administers applications."""

    def get_inlines(self, request: HttpRequest, obj: Any) -> list[Any]:
        """Add the policy, once there is a client for it to be derived from."""
        found = list(super().get_inlines(request, obj))
        return found if obj is None else [*found, PolicyInline]

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        """Leave the stored secret, even hashed, out of the page of those who only look."""
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
        """Keep the stored secret, even hashed, out of the form."""
        form: Any = super().get_form(request, obj, change, **kwargs)
        if obj is None or "client_secret" not in form.base_fields:
            return form
        return type(form)(form.__name__, (KeepsSecret, form), {})

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Keep the identifier of a stored client: records, tokens and the trail name it."""
        fields = tuple(super().get_readonly_fields(request, obj))
        return fields if obj is None else (*fields, "client_id")

    def get_view_on_site_url(self, obj: Any = None) -> str | None:
        """Leave out the link to the toolkit's own pages where a site has not mounted them."""
        if obj is not None and hasattr(obj, "get_absolute_url"):
            try:
                obj.get_absolute_url()
            except NoReverseMatch:
                return None
        return super().get_view_on_site_url(obj)

    def response_add(self, request: HttpRequest, obj: Any, *args: Any) -> HttpResponse:
        """Go on to the page with the policy, as Django does for new users."""
        if "_addanother" not in request.POST and IS_POPUP_VAR not in request.POST:
            posted = request.POST.copy()
            posted["_continue"] = "1"
            request.POST = posted  # type: ignore[assignment]  # as Django's UserAdmin does
        return super().response_add(request, obj, *args)

    def save_related(
        self, request: HttpRequest, form: ModelForm[Any], formsets: Any, change: Any
    ) -> None:
        """Save, and record what differs now, all of it as one change."""
        super().save_related(request, form, formsets, change)
        fields = changed_fields(form, formsets)
        if fields or not change:
            record_client_change(
                form.instance,
                origin_of(request),
                change="changed" if change else "added",
                fields=fields,
            )

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        """Revoke what it holds, in the operator's name; then delete."""
        _end(request, obj)
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Do the same for each."""
        for application in queryset:
            _end(request, application)
        super().delete_queryset(request, queryset)


def extend(site: AdminSite = admin.site) -> None:
    """Put policies on the page of applications, if the site has one; again does nothing.

    The toolkit registers what its settings name when its admin is imported, which may be later
    than this: it is imported here. A site may register something else later still, so the app's
    `ready` calls this again.
    """
    toolkit.load_admin()
    model = toolkit.application_model()
    if not site.is_registered(model):
        return
    registered = type(site.get_model_admin(model))
    if not issubclass(registered, WithPolicy):
        site.unregister(model)
        site.register(model, type(registered.__name__, (WithPolicy, registered), {}))


def _derived(client: clients.Client) -> dict[str, Any]:
    return {
        "grants": client.policy.grants,
        "scopes": str(client.policy.scopes),
        "audiences": [server.pk for server in client.servers.values()],
    }


def _end(request: HttpRequest, application: Any) -> None:
    origin = origin_of(request)
    revoke.of_client(application, origin, reason="the client was deleted")
    record_client_change(application, origin, change="deleted")


extend()
