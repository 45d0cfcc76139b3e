"""Forms of the admin."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, Final

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.utils.functional import Promise
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from delegation_app import toolkit
from delegation_app.models import ClientPolicy, ResourceServer
from delegation_app.protocol import names

_GRANT_LABELS: Final[dict[str, Promise]] = {
    names.AUTHORIZATION_CODE: _("Authorization code"),
    names.CLIENT_CREDENTIALS: _("Client credentials"),
    names.REFRESH_TOKEN: _("Refresh token"),
    names.DEVICE_CODE: _("Device code"),
    names.TOKEN_EXCHANGE: _("Token exchange"),
}


def grant_label(grant_type: str) -> str:
    """Return what people call a grant type; one without a name goes by its identifier."""
    return str(_GRANT_LABELS.get(grant_type, grant_type))


def grant_choices(more: Iterable[str] = ()) -> list[tuple[str, str]]:
    """Return the grant types to choose from: those of `more` too, so that nothing is lost."""
    return [(name, grant_label(name)) for name in dict.fromkeys((*_GRANT_LABELS, *more))]


class RevocationForm(forms.Form):
    """Why something is ended. It is kept with the record for ever."""

    reason = forms.CharField(
        label=_("Reason"),
        max_length=255,
        help_text=_("A sentence for the record. Do not paste secrets."),
        widget=forms.TextInput(attrs={"class": "vTextField", "autocomplete": "off"}),
    )


class BulkRevocationForm(RevocationForm):
    """The same for several delegations: exactly those that the page named."""

    MOST: Final = 1000

    delegations = forms.CharField(widget=forms.HiddenInput)

    def clean_delegations(self) -> list[int]:
        """Return the keys."""
        keys = self.cleaned_data["delegations"].split(",")
        if len(keys) > self.MOST or not all(key.isascii() and key.isdecimal() for key in keys):
            raise ValidationError(_("Select the delegations again."), code="invalid")
        return [int(key) for key in keys]


class RotationForm(forms.Form):
    """Whether to wait until verifiers know the next key, and what becomes of the one before."""

    withdraw = forms.BooleanField(
        label=_("The active key was stolen: withdraw it"),
        required=False,
        help_text=_("Every token that it signed is refused, and people's apps have to refresh."),
    )
    force = forms.BooleanField(
        label=_("Do not wait"),
        required=False,
        help_text=_(
            "Services that have not read the new key yet refuse tokens signed with it, for a while."
        ),
    )


class ScopeFormField(forms.CharField):
    """Scope names, separated by spaces; the same names in another order are no change."""

    def prepare_value(self, value: Any) -> str:
        """Return the text to show."""
        return "" if value is None else str(value)

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Compare the names."""
        return set(self.prepare_value(initial).split()) != set(self.prepare_value(data).split())


def _scope_field(model: type[ClientPolicy | ResourceServer]) -> ScopeFormField:
    column = model._meta.get_field("scopes")
    return ScopeFormField(
        label=capfirst(column.verbose_name),
        required=False,
        help_text=column.help_text,
        widget=forms.Textarea(attrs={"rows": 2, "class": "vLargeTextField"}),
    )


class _KnowsScopes(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """Refuses a scope that the site does not know: it would never be granted."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if (field := self.fields.get("scopes")) is not None:
            known = " ".join(sorted(toolkit.all_scopes()))
            field.help_text = _("%(help)s This site knows: %(known)s") % {
                "help": field.help_text,
                "known": known,
            }

    def clean_scopes(self) -> str:
        """Return the names. What is stored already may stay."""
        text: str = self.cleaned_data["scopes"]
        stored = self.fields["scopes"].prepare_value(self.initial.get("scopes")).split()
        unknown = set(text.split()) - set(toolkit.all_scopes()) - set(stored)
        if unknown:
            raise ValidationError(
                _("This site has no scope %(names)s."),
                code="unknown",
                params={"names": ", ".join(sorted(unknown))},
            )
        return text


class ResourceServerForm(_KnowsScopes):
    """A resource server."""

    scopes = _scope_field(ResourceServer)

    class Meta:
        model = ResourceServer
        fields = "__all__"  # noqa: DJ007 - every column is for the operator


class ClientPolicyForm(_KnowsScopes):
    """The policy of a client, its grant types as boxes to tick.

    `grant_types` are those installed; a form knows no grants, so whoever uses it sets them.
    """

    grant_types: ClassVar[tuple[str, ...]] = ()

    scopes = _scope_field(ClientPolicy)
    grants = forms.MultipleChoiceField(
        label=capfirst(ClientPolicy._meta.get_field("grants").verbose_name),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("How it may get tokens."),
    )

    class Meta:
        model = ClientPolicy
        exclude = ("application", "readmitted_at")  # noqa: DJ006 - all that is not set elsewhere

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("access_token", "refresh_token", "delegation"):
            if (lifetime := self.fields.get(f"{name}_lifetime")) is not None:
                lifetime.validators.append(MinValueValidator(1))
        grants = self.fields.get("grants")
        if isinstance(grants, forms.MultipleChoiceField):
            stored = self.initial.get("grants") or []
            grants.choices = grant_choices((*self.grant_types, *stored))

    def clean(self) -> dict[str, Any] | None:
        """Refuse a default audience that the client may not have."""
        cleaned = super().clean()
        chosen, allowed = (
            self.cleaned_data.get(name) for name in ("default_audience", "audiences")
        )
        if chosen is not None and allowed is not None and chosen not in allowed:
            self.add_error("default_audience", _("It is not among the audiences."))
        return cleaned


class KeepsSecret:
    """Mixed into the form of a stored application: its secret is not shown, and empty keeps it."""

    initial: dict[str, Any]
    instance: Any
    fields: dict[str, forms.Field]
    cleaned_data: dict[str, Any]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._stored_secret = self.instance.client_secret
        self.initial["client_secret"] = ""
        field = self.fields["client_secret"]
        field.required = field.show_hidden_initial = False
        field.widget.attrs["autocomplete"] = "off"
        field.help_text = _(
            "The stored secret is not shown. To replace it, enter a new one and copy it before "
            "saving; leave this empty to keep it."
        )

    def clean_client_secret(self) -> str:
        """Return the new secret, or the stored one if there is none."""
        return str(self.cleaned_data["client_secret"] or self._stored_secret)
