"""The form of a client's policy."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.forms import BaseInlineFormSet
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from delegation_app import grant_types, toolkit
from delegation_app.admin.constraint_field import ConstraintsFormField
from delegation_app.forms import KnowsScopes, scope_field
from delegation_app.models import ClientLogo, ClientPolicy
from delegation_app.protocol.constraints import Constraints
from delegation_app.services.clients import logos, lookup


def web_address(name: str) -> forms.CharField:
    """Return the form field of a column that holds an https address."""
    column: Any = ClientPolicy._meta.get_field(name)
    return forms.CharField(
        label=capfirst(column.verbose_name),
        required=False,
        max_length=column.max_length,
        help_text=_("An https address. People are shown its host beside the link."),
        widget=forms.URLInput(attrs={"class": "vURLField"}),
    )


class PolicyForm(KnowsScopes):
    """The policy of a client, the installed grant types as boxes to tick."""

    scopes = scope_field(ClientPolicy)
    required_scopes = scope_field(ClientPolicy, "required_scopes")
    home_page = web_address("home_page")
    privacy_page = web_address("privacy_page")
    logo_file = forms.FileField(
        label=_("Logo"),
        required=False,
        help_text=_("PNG, JPEG or WebP, at most 64 KiB. It is shown for clients with a secret."),
        widget=forms.FileInput(attrs={"accept": ",".join(ClientLogo.ImageType.values)}),
    )
    logo_away = forms.BooleanField(label=_("No logo any more"), required=False)
    grants = forms.MultipleChoiceField(
        label=capfirst(ClientPolicy._meta.get_field("grants").verbose_name),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("How it may get tokens."),
    )
    constraints = ConstraintsFormField(
        label=capfirst(ClientPolicy._meta.get_field("constraints").verbose_name),
        required=False,
        help_text=_("Limits of everything that is opened for this client from now on."),
    )

    class Meta:
        model = ClientPolicy
        # Constraints are no JSON, so the check of the model's own JSON field can't judge them: what
        # the form has read goes into the record by `clean_constraints`.
        exclude = ("application", "constraints")
        help_texts = {
            "refresh_retry_window": _(
                "Seconds. A client that lost the answer to a refresh and sends the same refresh "
                "token again within this time gets the same successor, as long as that is unused. "
                "Later it counts as stolen, and the delegation ends. At most as long as an access "
                "token lives. 0: no retry. Empty: the site's setting, and for a client without a "
                "secret at most 10."
            ),
            "may_request_constraints": _(
                "Take the parameter “constraints” in its requests. It can only narrow, never widen."
            ),
            "may_act": _(
                "The client id of the only client that may exchange the tokens of this one. It "
                "stands in them as “may_act”. Empty: whoever a token was sent to may."
            ),
            "may_impersonate": _(
                "Careful: what it gets without an actor token looks as if the client before it "
                "used it. That it was this client is then told by the audit trail alone."
            ),
            "may_exchange_refresh_tokens": _(
                "It may present its own refresh tokens for exchange, not only access tokens."
            ),
            "may_refresh_exchanged_tokens": _(
                "Its exchanges give a refresh token too, so it can go on when the token that it "
                "exchanged has expired. The delegation above can still end it at any time."
            ),
        }

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
        """Put them into the record."""
        constraints: Constraints = self.cleaned_data["constraints"]
        self.instance.constraints = constraints
        return constraints

    def clean_may_act(self) -> str:
        """Refuse a client that does not exist. What is stored already may stay."""
        client_id: str = self.cleaned_data["may_act"]
        known = toolkit.application_model()._default_manager.filter(client_id=client_id)
        if client_id and client_id != self.initial.get("may_act") and not known.exists():
            raise ValidationError(_("There is no client with this id."), code="unknown")
        return client_id

    def clean_logo_file(self) -> bytes | None:
        """Return the bytes of an image that may be shown."""
        file = self.cleaned_data["logo_file"]
        if file is None:
            return None
        try:
            # One byte more than there may be tells that it is too large
            data: bytes = file.read(logos.LARGEST + 1)
            logos.kind_of(data)
        except logos.NoLogo as error:
            raise ValidationError(error.description, code="invalid") from error
        return data

    def save_logo(self) -> None:
        """Keep what was uploaded, or drop what there is. Side effects: at most one row."""
        if data := self.cleaned_data.get("logo_file"):
            logos.put(self.instance, data)
        elif self.cleaned_data.get("logo_away"):
            logos.drop(self.instance)

    def clean(self) -> dict[str, Any] | None:
        """Refuse needed scopes, or a default audience, that the client may not have."""
        cleaned = super().clean()
        needed, had = (self.cleaned_data.get(name) for name in ("required_scopes", "scopes"))
        if needed and had is not None and not set(needed.split()) <= set(had.split()):
            self.add_error("required_scopes", _("It may not have all of these."))
        chosen, allowed = (
            self.cleaned_data.get(name) for name in ("default_audience", "audiences")
        )
        if chosen is not None and allowed is not None and chosen not in allowed:
            self.add_error("default_audience", _("It is not among the audiences."))
        return cleaned


class PolicyFormSet(BaseInlineFormSet):  # type: ignore[type-arg]  # not generic at run time
    """A client without a policy is shown what it may do all the same.

    As long as nobody changes these values they are not stored, and follow the application.
    """

    is_derived = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        application = kwargs.get("instance")
        if application is not None and application.pk is not None:
            client = lookup.from_rows(application, ())
            if client.policy._state.adding:  # noqa: SLF001 - Django's documented way to ask
                kwargs["initial"], self.is_derived = [_derived(client)], True
        super().__init__(*args, **kwargs)


def _derived(client: lookup.RegisteredClient) -> dict[str, Any]:
    return {
        "grants": client.policy.grants,
        "scopes": str(client.policy.scopes),
        "audiences": [server.pk for server in client.servers.values()],
    }
