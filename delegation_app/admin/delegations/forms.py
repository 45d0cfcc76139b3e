"""Forms of confirmations."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from delegation_app import clock
from delegation_app.admin.constraint_field import ConstraintsFormField
from delegation_app.admin.validated_lookups import StorableDateTimeField
from delegation_app.models import Delegation
from delegation_app.protocol.constraints import Constraints, InvalidConstraint
from delegation_app.protocol.requests import reading
from delegation_app.protocol.scope import Scope
from delegation_app.services.delegations.narrowing import Narrowing


class RevocationForm(forms.Form):
    """The reason, which is stored with the record."""

    reason = forms.CharField(
        label=_("Reason"),
        max_length=255,
        help_text=_("A sentence for the record. Do not paste secrets."),
        widget=forms.TextInput(attrs={"class": "vTextField", "autocomplete": "off"}),
    )


class BulkRevocationForm(RevocationForm):
    """The reason for several delegations: exactly those of the confirmation."""

    MOST: Final = 1000

    delegations = forms.CharField(widget=forms.HiddenInput)

    def clean_delegations(self) -> list[int]:
        """Return the keys."""
        keys = self.cleaned_data["delegations"].split(",")
        try:
            found = [reading.key(key) for key in keys[: self.MOST + 1]]
        except ValueError:
            found = []
        if not 0 < len(found) <= self.MOST:
            raise ValidationError(_("Select the delegations again."), code="invalid")
        return found


class NarrowingForm(RevocationForm):
    """The remaining terms of a delegation. Unchanged fields keep their values."""

    scopes = forms.MultipleChoiceField(
        label=_("Scopes"),
        widget=forms.CheckboxSelectMultiple,
        help_text=_("Clear the scopes to take away."),
        error_messages={
            "required": _("Keep at least one. To take all away, revoke the delegation."),
            "invalid_choice": _("It does not have %(value)s any more. Reload the page."),
        },
    )
    expires_at = StorableDateTimeField(
        label=_("Ends"),
        required=False,
        widget=forms.DateTimeInput(
            format="%Y-%m-%dT%H:%M:%S", attrs={"type": "datetime-local", "step": "1"}
        ),
    )
    constraints = ConstraintsFormField(label=_("Constraints to add"), required=False)
    field_order = ("scopes", "expires_at", "constraints", "reason")

    def __init__(self, delegation: Delegation, data: Any = None) -> None:
        super().__init__(data)
        self._current = delegation
        scopes = list(delegation.scopes)
        if not scopes:
            del self.fields["scopes"]
        else:
            choice: Any = self.fields["scopes"]
            choice.choices = [(name, name) for name in scopes]
            choice.initial = scopes
        ends = self.fields["expires_at"]
        # The page shows whole seconds
        ends.initial = _whole(delegation.expires_at)
        ends.help_text = _(
            "Not later than the current end. Empty: no change. Time zone: %(zone)s."
        ) % {"zone": timezone.get_current_timezone_name()}

    def clean_expires_at(self) -> datetime | None:
        """Return the new end, or None for the present one."""
        ends: datetime | None = self.cleaned_data["expires_at"]
        now = self._current.expires_at
        if ends is None or ends == _whole(now):
            return None
        if ends <= clock.now():
            raise ValidationError(_("It must be in the future. To end it now, revoke it."))
        if now is not None and ends > now:
            raise ValidationError(_("It must not be later than the current end."))
        return ends

    def clean_constraints(self) -> Constraints:
        """Return the added constraints, if they are compatible with the existing ones."""
        added: Constraints = self.cleaned_data["constraints"]
        try:
            self._current.constraints.narrowed(added)
        except InvalidConstraint as error:
            raise ValidationError(error.description, code="invalid") from error
        return added

    def clean(self) -> dict[str, Any] | None:
        """Refuse a narrowing without effect: it would only fill the audit trail."""
        cleaned = super().clean()
        if not self.errors and not self.narrowing().changes(self._current):
            raise ValidationError(_("This would change nothing."), code="unchanged")
        return cleaned

    def narrowing(self) -> Narrowing:
        """Return the narrowing of the valid form."""
        chosen = self.cleaned_data.get("scopes")
        scope = None if chosen is None else Scope(chosen)
        return Narrowing(
            scope=None if scope == self._current.scopes else scope,
            expires_at=self.cleaned_data["expires_at"],
            constraints=self.cleaned_data["constraints"],
        )


class RotationForm(forms.Form):
    """Whether to skip the wait for verifiers, and whether to withdraw the active key."""

    withdraw = forms.BooleanField(
        label=_("The active key was stolen: withdraw it"),
        required=False,
        help_text=_("Every token that it signed is refused, and apps must refresh."),
    )
    force = forms.BooleanField(
        label=_("Do not wait"),
        required=False,
        help_text=_(
            "Services that have not read the new key yet refuse tokens signed with it, for a while."
        ),
    )


def _whole(when: datetime | None) -> datetime | None:
    return None if when is None else when.replace(microsecond=0)
