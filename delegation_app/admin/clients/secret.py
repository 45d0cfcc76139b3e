"""Replacing a client's secret in the admin, and ending the previous one."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Final

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.debug import sensitive_variables

from delegation_app import http, toolkit
from delegation_app.admin.base import STYLES, context_of
from delegation_app.admin.confirmation import ConfirmationPage, ask, deed
from delegation_app.admin.database_unavailable import UnavailableDatabaseMixin
from delegation_app.services.clients import secrets

if TYPE_CHECKING:
    _Admin = admin.ModelAdmin[Any]
else:
    _Admin = object

_PERMISSION: Final = "delegation_app.rotate_secret_clientpolicy"
_ROUTES: Final = {
    "new_secret": "<path:object_id>/new-secret/",
    "end_former_secret": "<path:object_id>/end-former-secret/",
}


class NewSecretForm(forms.Form):
    """The overlap of the current secret with the new one."""

    overlap = forms.TypedChoiceField(
        label=gettext_lazy("Keep the current secret valid for"),
        coerce=lambda seconds: timedelta(seconds=int(seconds)),
        choices=(
            (0, gettext_lazy("no overlap: it ends immediately")),
            (3600, gettext_lazy("one hour")),
            (86400, gettext_lazy("one day")),
            (604800, gettext_lazy("7 days")),
        ),
        initial=86400,
        widget=forms.RadioSelect,
        help_text=gettext_lazy(
            "Both secrets work until then. Choose no overlap if the current one leaked."
        ),
    )
    seen = forms.CharField(widget=forms.HiddenInput)


class WithSecret(UnavailableDatabaseMixin, _Admin):
    """Mixed into the site's admin class of applications."""

    class Media:
        css: ClassVar = {"all": [STYLES, "delegation_app/admin_clients.css"]}

    def get_urls(self) -> list[URLPattern]:
        own = [
            path(
                route,
                self.admin_site.admin_view(getattr(self, f"{name}_view")),
                name=f"{self.opts.app_label}_{self.opts.model_name}_{name}",
            )
            for name, route in _ROUTES.items()
        ]
        return own + super().get_urls()

    def secret_context(self, request: HttpRequest, application: Any) -> dict[str, Any]:
        """Return the links to replace the secret, if the user may."""
        if not self._may_replace(request, application):
            return {}
        former = secrets.former_of(application)
        return {
            "new_secret_url": self._url("new_secret", application),
            "former_secret_until": former and former.ends_at,
            "end_former_secret_url": former and self._url("end_former_secret", application),
        }

    @deed
    @sensitive_variables("replaced")
    def new_secret_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Generate a secret and show it in the response, the only copy of its text."""
        application = self._found(request, object_id)
        form = NewSecretForm(request.POST if request.method == "POST" else None)
        if not form.is_valid():
            return ask(self, request, self._question(request, application, form))
        try:
            replaced = secrets.replace(application, context_of(request), **form.cleaned_data)
        except secrets.ChangedMeanwhile:
            text = _("The secret was changed meanwhile. Check the client and try again.")
            self.message_user(request, text, messages.ERROR)
            return HttpResponseRedirect(self._url("change", application))
        return self._shown(request, application, replaced)

    @deed
    def end_former_secret_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        application = self._found(request, object_id)
        back = self._url("change", application)
        if request.method == "POST":
            if secrets.end_former(application, context_of(request)):
                self.message_user(request, _("The previous secret has ended."), messages.SUCCESS)
            else:
                self.message_user(
                    request, _("The previous secret had already ended."), messages.WARNING
                )
            return HttpResponseRedirect(back)
        confirmation = ConfirmationPage(
            title=_("End the previous secret now?"),
            question=_("From now on %(client)s can authenticate with its new secret only.")
            % {"client": application},
            consequences=[
                _("Instances that still use the previous secret fail to authenticate immediately."),
                _("The delegations of the client are not affected."),
            ],
            button=_("End the previous secret now"),
            back=back,
            form=forms.Form(),
            record=application,
        )
        return ask(self, request, confirmation)

    def _question(
        self, request: HttpRequest, application: Any, form: NewSecretForm
    ) -> ConfirmationPage:
        lines = [
            _("The new secret is shown once, on the next page."),
            _("Its tokens remain valid. If the secret leaked, an attacker may hold some."),
        ]
        if secrets.former_of(application) is not None:
            lines.insert(0, _("A previous secret is still valid. It ends immediately."))
        if url := self.revoke_all_url(request, application):
            link = '{} <a href="{}">{}</a>'
            lines[-1] = format_html(
                link, lines[-1], url, _("Revoke all delegations of this client")
            )
        else:
            lines.pop()
        return ConfirmationPage(
            title=_("Replace the secret?"),
            question=_("A new secret is generated for %(client)s.") % {"client": application},
            consequences=lines,
            button=_("New secret"),
            back=self._url("change", application),
            form=form,
            record=application,
            hidden=[("seen", secrets.mark_of(application))],
        )

    @sensitive_variables("replaced")
    def _shown(
        self, request: HttpRequest, application: Any, replaced: secrets.Replaced
    ) -> HttpResponse:
        request.current_app = self.admin_site.name
        context = {
            **self.admin_site.each_context(request),
            "title": _("The new secret"),
            "subtitle": None,
            "opts": self.opts,
            "media": self.media,
            "application": application,
            "secret": replaced.secret,
            "former_until": replaced.former_until,
            "zone": timezone.get_current_timezone_name(),
            "back": self._url("change", application),
            "revoke_all_url": self.revoke_all_url(request, application),
        }
        response = TemplateResponse(request, "admin/delegation_app/secret.html", context)
        http.never_stored(response)
        return response

    def _found(self, request: HttpRequest, object_id: str) -> Any:
        application = self.get_object(request, unquote(object_id))
        if not request.user.has_perm(_PERMISSION) or not self.has_view_permission(
            request, application
        ):
            raise PermissionDenied
        if application is None or not toolkit.is_confidential(application):
            raise Http404(_("This client does not exist or has no secret."))
        return application

    def _may_replace(self, request: HttpRequest, application: Any) -> bool:
        may = request.user.has_perm(_PERMISSION) and self.has_view_permission(request, application)
        return may and toolkit.is_confidential(application)

    def revoke_all_url(self, request: HttpRequest, application: Any) -> str:
        """Return the URL to revoke all delegations of the client, if the user may."""
        raise NotImplementedError

    def _url(self, name: str, application: Any) -> str:
        route = f"admin:{self.opts.app_label}_{self.opts.model_name}_{name}"
        return reverse(route, args=[quote(application.pk)], current_app=self.admin_site.name)
