"""The part of a client's policy that concerns the consent page."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from delegation_app.admin.clients.policy_form import PolicyForm
from delegation_app.models import ClientPolicy
from delegation_app.services.clients import logos

FIELDS: Final = (
    "required_scopes",
    "confirm_risky",
    "always_prompt",
    "home_page",
    "privacy_page",
    "current_logo",
    "logo_file",
    "logo_away",
)
# Hidden from users with view permission only
UPLOADS: Final = frozenset({"logo_file", "logo_away"})


class ShowsLogo:
    """Mixed into the inline of a policy."""

    @admin.display(description=_("current logo"))
    def current_logo(self, obj: ClientPolicy) -> str:
        digest = logos.address_of(obj)
        if not digest:
            return str(_("none"))
        address = reverse("delegation_app:logo", args=[digest])
        return format_html('<img src="{}" alt="" width="48" height="48">', address)


def save_logos(formsets: Iterable[Any]) -> None:
    """Store uploaded logos. Call it after the policies are saved."""
    for formset in formsets:
        for form in formset.forms:
            if isinstance(form, PolicyForm) and form.has_changed():
                form.save_logo()
