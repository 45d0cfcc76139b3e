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

# Of a typed secret; as random letters and digits, more than 80 bits
SHORTEST_SECRET: Final = 16


class ScopeFormField(forms.CharField):
    """Space-separated scope names; their order does not matter."""

    def prepare_value(self, value: Any) -> str:
        return "" if value is None else str(value)

    def has_changed(self, initial: Any, data: Any) -> bool:
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
    """Refuses a scope that the site does not define: it would never be granted."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if (field := self.fields.get("scopes")) is not None:
            known = " ".join(sorted(toolkit.all_scopes()))
            field.help_text = _("%(help)s Available scopes: %(known)s") % {
                "help": field.help_text,
                "known": known,
            }

    def clean_scopes(self) -> str:
        """Return the names. Stored ones may stay."""
        text: str = self.cleaned_data["scopes"]
        stored = self.fields["scopes"].prepare_value(self.initial.get("scopes")).split()
        unknown = set(text.split()) - set(toolkit.all_scopes()) - set(stored)
        if unknown:
            raise ValidationError(
                _("Unknown scope: %(names)s."),
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

    def clean(self) -> dict[str, Any] | None:
        """Refuse a name that identifies another server: `audience` takes names and identifiers."""
        cleaned = super().clean()
        # The identifier of a stored server is read-only
        name, identifier = (self.cleaned_data.get(key) for key in ("name", "identifier"))
        others = ResourceServer.objects.exclude(pk=self.instance.pk)
        if name and others.filter(identifier=name).exists():
            self.add_error("name", _("Another resource server has this identifier."))
        if identifier and others.filter(name=identifier).exists():
            self.add_error("identifier", _("Another resource server has this name."))
        return cleaned


class OffersServedGrants:
    """Mixed into the form of an application: omits grant types that are not served.

    The toolkit has more, such as the implicit grant. A stored one may stay.
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

    Stored ones may stay; the page lists their problems.
    """

    initial: dict[str, Any]
    instance: Any
    errors: Any
    cleaned_data: dict[str, Any]
    add_error: Any

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]  # of the form that this is mixed into
        # The toolkit's own errors take precedence, and cover the scheme
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
    """Mixed into the form of an application: refuses a secret that can be guessed."""

    cleaned_data: dict[str, Any]

    def clean_client_secret(self) -> str:
        secret = str(self.cleaned_data["client_secret"])
        if 0 < len(secret) < SHORTEST_SECRET:
            raise ValidationError(
                _(
                    "Use at least %(length)d characters, or generate a random secret with “New "
                    "secret” on the page of the client."
                ),
                code="short",
                params={"length": SHORTEST_SECRET},
            )
        return secret


class KeepsSecret(RefusesShortSecret):
    """Mixed into the form of a stored application: hides the secret, and keeps it if left empty."""

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
            "The stored secret is not shown. Leave this empty to keep it. To replace it, enter a "
            "new one and copy it before saving."
        )

    def clean_client_secret(self) -> str:
        return super().clean_client_secret() or str(self._stored_secret)
