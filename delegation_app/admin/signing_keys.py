"""Signing keys and their rotation."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from delegation_app.admin.base import ReadOnlyAdmin, context_of
from delegation_app.admin.confirmation import ConfirmationPage, ask, deed
from delegation_app.admin.delegations.forms import RotationForm
from delegation_app.models import SigningKey
from delegation_app.services import signing_keys


@admin.register(SigningKey)
class SigningKeyAdmin(ReadOnlyAdmin):
    """Read-only, with one action: rotate. No page shows a private key."""

    deed_pages: ClassVar = {"rotate": "rotate/"}
    list_display = ("kid", "algorithm", "state", "created_at", "activated_at", "expires_at")
    list_filter = ("state", "algorithm")
    fieldsets = (
        (None, {"fields": ("kid", "algorithm", "state")}),
        (_("Dates"), {"fields": ("created_at", "activated_at", "expires_at")}),
        (_("Public key"), {"fields": ("public_jwk_text",)}),
    )

    @admin.display(description=_("public key"))
    def public_jwk_text(self, obj: SigningKey) -> str:
        text = json.dumps(obj.public_jwk, indent=2, sort_keys=True)
        return format_html('<pre class="delegation-json">{}</pre>', text)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        may = self.may(request, "rotate")
        context = {"rotate_url": self.url("rotate") if may else "", **(extra_context or {})}
        return super().changelist_view(request, context)

    @deed
    def rotate_view(self, request: HttpRequest) -> HttpResponse:
        self.require(request, "rotate")
        form = RotationForm(request.POST if request.method == "POST" else None)
        if form.is_valid():
            try:
                key = signing_keys.rotate(context_of(request), **form.cleaned_data)
            except signing_keys.UnreadableKey as error:
                text = _(
                    "The next key %(kid)s cannot be decrypted. See rotate_signing_keys --help."
                )
                self.message_user(request, text % {"kid": error.kid}, messages.ERROR)
            except signing_keys.TooEarly as wait:
                soon = ngettext(
                    "Services may not have fetched the next key yet. Wait %(seconds)d second.",
                    "Services may not have fetched the next key yet. Wait %(seconds)d seconds.",
                    wait.seconds,
                )
                self.message_user(request, soon % {"seconds": wait.seconds}, messages.ERROR)
            else:
                text = _("The key %(kid)s is active.")
                self.message_user(request, text % {"kid": key.kid}, messages.SUCCESS)
                return HttpResponseRedirect(self.url("changelist"))
        return ask(self, request, self._question(form))

    def _question(self, form: RotationForm) -> ConfirmationPage:
        return ConfirmationPage(
            title=str(_("Rotate the signing keys?")),
            question=str(_("The next key becomes active, and a new next key is published.")),
            consequences=[
                str(_("The private half of the active key is deleted.")),
                str(_("Its public half remains published until its last token has expired.")),
            ],
            button=str(_("Rotate")),
            back=self.url("changelist"),
            form=form,
        )
