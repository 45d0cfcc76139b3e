"""The form of a client's policy."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.forms import BaseInlineFormSet
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from delegation_app import toolkit
from delegation_app.admin.constraint_field import ConstraintsFormField
from delegation_app.forms import KnowsScopes, scope_field
from delegation_app.models import ClientLogo, ClientPolicy
from delegation_app.protocol.constraints import Constraints
from delegation_app.services.clients import grant_types, logos, lookup
from delegation_app.services.clients.registered_client import RegisteredClient


def web_address(name: str) -> forms.CharField:
    """Return the form field of a column that holds an https address."""
    column: Any = ClientPolicy._meta.get_field(name)
    return forms.CharField(
        label=capfirst(column.verbose_name),
        required=False,
        max_length=column.max_length,
        help_text=_("An https address. Its host is shown beside the link."),
        widget=forms.URLInput(attrs={"class": "vURLField"}),
    )


class PolicyForm(KnowsScopes):
    """The policy of a client."""

    scopes = scope_field(ClientPolicy)
    required_scopes = scope_field(ClientPolicy, "required_scopes")
    home_page = web_address("home_page")
    privacy_page = web_address("privacy_page")
    logo_file = forms.FileField(
        label=_("Logo"),
        required=False,
        help_text=_("PNG, JPEG or WebP, at most 64 KiB. Shown for confidential clients only."),
        widget=forms.FileInput(attrs={"accept": ",".join(ClientLogo.ImageType.values)}),
    )
    logo_away = forms.BooleanField(label=_("Remove the logo"), required=False)
    grants = forms.MultipleChoiceField(
        label=capfirst(ClientPolicy._meta.get_field("grants").verbose_name),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("The grants that the client may use."),
    )
    constraints = ConstraintsFormField(
        label=capfirst(ClientPolicy._meta.get_field("constraints").verbose_name),
        required=False,
        help_text=ClientPolicy._meta.get_field("constraints").help_text,
    )

    class Meta:
        model = ClientPolicy
        # The model's JSON validation does not apply to Constraints: `clean_constraints` sets them
        exclude = ("application", "constraints")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("access_token", "refresh_token", "delegation"):
            if (lifetime := self.fields.get(f"{name}_lifetime")) is not None:
                lifetime.validators.append(MinValueValidator(1))
        grants = self.fields.get("grants")
        if isinstance(grants, forms.MultipleChoiceField):
            grants.choices = grant_types.choices(self.initial.get("grants") or [])
        if isinstance(limits := self.fields.get("constraints"), ConstraintsFormField):
            limits.stored = self.initial["constraints"] = self.instance.constraints

    def clean_constraints(self) -> Constraints:
        constraints: Constraints = self.cleaned_data["constraints"]
        self.instance.constraints = constraints
        return constraints

    def clean_may_act(self) -> str:
        """Refuse an unknown client, unless it is the stored value."""
        client_id: str = self.cleaned_data["may_act"]
        known = toolkit.application_model()._default_manager.filter(client_id=client_id)
        if client_id and client_id != self.initial.get("may_act") and not known.exists():
            raise ValidationError(_("Unknown client id."), code="unknown")
        return client_id

    def clean_logo_file(self) -> bytes | None:
        file = self.cleaned_data["logo_file"]
        if file is None:
            return None
        try:
            # One byte beyond the limit shows that it is too large
            data: bytes = file.read(logos.LARGEST + 1)
            logos.kind_of(data)
        except logos.NoLogo as error:
            raise ValidationError(error.description, code="invalid") from error
        return data

    def save_logo(self) -> None:
        """Store the uploaded logo, or remove the current one; at most one row."""
        if data := self.cleaned_data.get("logo_file"):
            logos.put(self.instance, data)
        elif self.cleaned_data.get("logo_away"):
            logos.drop(self.instance)

    def clean(self) -> dict[str, Any] | None:
        """Refuse required scopes or a default audience that the client may not have."""
        cleaned = super().clean()
        needed, had = (self.cleaned_data.get(name) for name in ("required_scopes", "scopes"))
        if needed and had is not None and not set(needed.split()) <= set(had.split()):
            self.add_error("required_scopes", _("Some of these are not among its scopes."))
        chosen, allowed = (
            self.cleaned_data.get(name) for name in ("default_audience", "audiences")
        )
        if chosen is not None and allowed is not None and chosen not in allowed:
            self.add_error("default_audience", _("Select one of its audiences."))
        return cleaned


class PolicyFormSet(BaseInlineFormSet):  # type: ignore[type-arg]  # not generic at run time
    """Shows the derived policy of a client without a stored one.

    The values are stored only once they are changed; until then they follow the application.
    """

    is_derived = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        application = kwargs.get("instance")
        if application is not None and application.pk is not None:
            client = lookup.from_rows(application, ())
            if client.policy._state.adding:  # noqa: SLF001 - Django's documented way to ask
                kwargs["initial"], self.is_derived = [_derived(client)], True
        super().__init__(*args, **kwargs)


def _derived(client: RegisteredClient) -> dict[str, Any]:
    return {
        "grants": client.policy.grants,
        "scopes": str(client.policy.scopes),
        "audiences": [server.pk for server in client.servers.values()],
    }
