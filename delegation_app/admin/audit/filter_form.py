"""The filter form of the audit trail."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _

from delegation_app.admin.validated_lookups import StorableDateTimeField
from delegation_app.events import REGISTRY as EVENTS
from delegation_app.models import AuditEvent
from delegation_app.services.paging import Cursor, InvalidCursor, SignedCursors
from delegation_app.services.reporting import audit_query
from delegation_app.services.reporting.audit_query import AuditQuery

_ID: Final = {"autocomplete": "off", "spellcheck": "false"}
_LONGEST: Final = 300


class Range(TextChoices):
    """The preset time ranges."""

    ALL = "", _("all")
    HOUR = "hour", _("the last hour")
    DAY = "day", _("24 hours")
    WEEK = "week", _("7 days")
    MONTH = "month", _("30 days")


def _text(label: Any, help_text: Any = "") -> forms.CharField:
    widget = forms.TextInput(attrs=_ID)
    return forms.CharField(label=label, help_text=help_text, widget=widget, max_length=_LONGEST)


class TrailForm(forms.Form):
    """The filters. All are optional, and none loads a list of rows."""

    q = _text(
        _("Any id or name"),
        _("A user name, a subject, or the id of a client, token, request, delegation or consent."),
    )
    range = forms.ChoiceField(label=_("Time range"), choices=Range.choices)
    event = forms.ChoiceField(label=_("Event"))
    outcome = forms.ChoiceField(label=_("Outcome"))
    actor = _text(_("Actor"))
    subject = _text(_("Subject"))
    client = _text(_("Client id"))
    reason = _text(_("Reason"))
    endpoint = forms.ChoiceField(label=_("Refused at"))
    delegation = forms.UUIDField(label=_("Delegation id"))
    request = _text(_("Request id"))
    jti = _text(_("Token id"))
    since = StorableDateTimeField(label=_("From"))
    until = StorableDateTimeField(label=_("Before"))
    at = forms.CharField(widget=forms.HiddenInput)

    FIRST: Final = ("q", "range", "event", "outcome")
    _NAMES: Final = {"since": "from", "until": "to"}

    def __init__(self, data: Mapping[str, Any]) -> None:
        super().__init__(data)
        self._fill_choices()
        for field in self.fields.values():
            field.required = False
            if isinstance(field, forms.DateTimeField):
                field.widget = forms.DateTimeInput(attrs={"type": "datetime-local", "step": "1"})

    def _fill_choices(self) -> None:
        any_one = ("", _("any"))
        fields: dict[str, Any] = self.fields
        fields["event"].choices = [
            any_one,
            *sorted(((e.name, e.label) for e in EVENTS.values()), key=lambda c: str(c[1])),
        ]
        fields["outcome"].choices = [any_one, *AuditEvent.Outcome.choices]
        fields["endpoint"].choices = [any_one, *ENDPOINT_LABELS.items()]

    def add_prefix(self, field_name: str) -> str:
        """Return the name of the parameter: two of them are keywords in Python."""
        return self._NAMES.get(field_name, field_name)

    @property
    def first_fields(self) -> list[Any]:
        """The fields that are always visible."""
        return [self[name] for name in self.FIRST]

    @property
    def more_fields(self) -> list[Any]:
        """The fields under “More filters”."""
        return [field for field in self.visible_fields() if field.name not in self.FIRST]

    @property
    def uses_more(self) -> bool:
        """Whether one of `more_fields` is used."""
        return any(self.data.get(field.html_name) or field.errors for field in self.more_fields)

    def clean_at(self) -> Cursor | None:
        try:
            return self.cursors().read(self.cleaned_data["at"])
        except InvalidCursor as error:
            raise ValidationError(_("Invalid cursor."), code="invalid") from error

    def cursors(self) -> SignedCursors:
        """Return the cursors of the list with these filters."""
        return SignedCursors("audit", self.query())

    def trail(self) -> AuditQuery:
        """Return the query of a valid form."""
        data = self.cleaned_data
        starts: list[datetime] = [
            each
            for each in (data["since"], audit_query.since_preset(data["range"]))
            if each is not None
        ]
        return AuditQuery(
            since=max(starts, default=None),
            until=data["until"],
            client_id=data["client"],
            request_id=data["request"],
            about=data["q"],
            **{name: data[name] for name in _SAME},
        )

    def query(self) -> dict[str, str]:
        """Return the URL parameters of the first page with the same filters."""
        return {
            field.html_name: str(self.data[field.html_name])
            for field in self.visible_fields()
            if self.data.get(field.html_name)
        }


ENDPOINT_LABELS: Final = {
    "exchange": _("token exchange"),
    "token": _("token"),
    "authorize": _("authorization"),
    "device_authorization": _("device authorization"),
    "introspect": _("introspection"),
    "revoke": _("revocation"),
}
_SAME: Final = (
    "event",
    "outcome",
    "actor",
    "subject",
    "reason",
    "endpoint",
    "delegation",
    "jti",
)
