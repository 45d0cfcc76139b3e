"""Forms of the registry of clients and resource servers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from delegation_app import toolkit
from delegation_app.models import ClientPolicy, ResourceServer
from delegation_app.services.clients import setup_problems

# Typed ones; at random even letters and digits alone have more than 80 bits
SHORTEST_SECRET: Final = 16


class ScopeFormField(forms.CharField):
    """Scope names, separated by spaces; the same names in another order are no change."""

    def prepare_value(self, value: Any) -> str:
        """Return the text to show."""
        return "" if value is None else str(value)

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Compare the names."""
        return set(self.prepare_value(initial).split()) != set(self.prepare_value(data).split())


def scope_field(model: type[ClientPolicy | ResourceServer], name: str = "scopes") -> ScopeFormField:
    """Return the form field for a model's column of scopes."""
    column: Any = model._meta.get_field(name)
    return ScopeFormField(
        label=capfirst(column.verbose_name),
        required=False,
        help_text=column.help_text,
        widget=forms.Textarea(attrs={"rows": 2, "class": "vLargeTextField"}),
    )


class KnowsScopes(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
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


class ResourceServerForm(KnowsScopes):
    """A resource server."""

    scopes = scope_field(ResourceServer)

    class Meta:
        model = ResourceServer
        fields = "__all__"  # noqa: DJ007 - every column is for the operator
        help_texts = {
            "name": _(
                "As people are shown it, and what clients send as “audience” in an exchange."
            ),
            "introspectors": _(
                "The clients that this service uses to ask about tokens, and to exchange tokens "
                "that were sent to it."
            ),
        }

    def clean(self) -> dict[str, Any] | None:
        """Refuse a name that means another server: `audience` takes names and identifiers."""
        cleaned = super().clean()
        # On the page of a stored one the identifier is only shown
        name, identifier = (self.cleaned_data.get(key) for key in ("name", "identifier"))
        others = ResourceServer.objects.exclude(pk=self.instance.pk)
        if name and others.filter(identifier=name).exists():
            self.add_error("name", _("It is the identifier of another resource server."))
        if identifier and others.filter(name=identifier).exists():
            self.add_error("identifier", _("It is the name of another resource server."))
        return cleaned


class OffersServedGrants:
    """Mixed into the form of an application: leaves out grant types that are never served.

    The toolkit knows more, such as the implicit grant. What is stored already may stay.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        form: Any = self
        field = form.fields.get("authorization_grant_type")
        if isinstance(field, forms.ChoiceField):
            stored = form.initial.get("authorization_grant_type", "")
            offered = toolkit.served_grants() | {"", stored}
            known: Any = field.choices
            field.choices = [choice for choice in known if choice[0] in offered]


class UsableRedirects:
    """Mixed into the form of an application: refuses redirect URIs that would never be accepted.

    What is stored already may stay; the page says what is wrong with it.
    """

    initial: dict[str, Any]
    instance: Any
    errors: Any
    cleaned_data: dict[str, Any]
    add_error: Any

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]  # of the form that this is mixed into
        # The toolkit's own errors come first, and say the same of a scheme
        if "redirect_uris" not in self.errors and "redirect_uris" in self.cleaned_data:
            errors = list(self._unusable())
            if errors:
                self.add_error("redirect_uris", errors)

    def _unusable(self) -> Iterator[ValidationError]:
        stored = str(self.initial.get("redirect_uris") or "").split()
        for uri in self.cleaned_data["redirect_uris"].split():
            why = None if uri in stored else setup_problems.of_redirect_uri(self.instance, uri)
            if why is not None:
                params = {"uri": uri, "why": why}
                yield ValidationError("%(uri)s: %(why)s", code="unusable", params=params)


class RefusesShortSecret:
    """Mixed into the form of an application: what can be guessed is no secret."""

    cleaned_data: dict[str, Any]

    def clean_client_secret(self) -> str:
        """Return the secret.

        Raises:
            ValidationError: it is too short.
        """
        secret = str(self.cleaned_data["client_secret"])
        if 0 < len(secret) < SHORTEST_SECRET:
            raise ValidationError(
                _(
                    "Use at least %(length)d characters, or let “New secret” on the page of the "
                    "client make a random one."
                ),
                code="short",
                params={"length": SHORTEST_SECRET},
            )
        return secret


class KeepsSecret(RefusesShortSecret):
    """Mixed into the form of a stored application: its secret is not shown, and empty keeps it."""

    initial: dict[str, Any]
    instance: Any
    fields: dict[str, forms.Field]

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
        return super().clean_client_secret() or str(self._stored_secret)
