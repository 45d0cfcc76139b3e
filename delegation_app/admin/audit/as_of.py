"""“Who could act for alice on 3 November at 14:00?”, with the evidence."""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.utils.translation import gettext_lazy as _

from delegation_app import clock
from delegation_app.admin import labels
from delegation_app.admin.base import ReadOnlyAdmin, render
from delegation_app.admin.delegations import issued, summary
from delegation_app.admin.validated_lookups import StorableDateTimeField
from delegation_app.services.reporting import as_of
from delegation_app.services.reporting.as_of_history import AccessAnswer, Snapshot, UnknownFact

_EXACT: Final = {"autocomplete": "off", "spellcheck": "false"}

ANSWERS: Final = {
    AccessAnswer.YES: _("could act"),
    AccessAnswer.NO: _("could not act"),
    AccessAnswer.UNSURE: _("perhaps"),
}
GAPS: Final = {
    UnknownFact.NOT_OPENED: _("Its creation is not recorded. The current terms are shown."),
    UnknownFact.EXPIRY: _("Its expiry at that time is not recorded. The current one is shown."),
    UnknownFact.PERSON: _("Whether the user was disabled at that time is not recorded."),
    UnknownFact.CLIENT: _("A client is disabled now. Since when is not recorded."),
}


class AsOfForm(forms.Form):
    """The user or client, and the time."""

    person = forms.CharField(
        label=_("For"),
        max_length=300,
        help_text=_("A user name, a subject such as user:7, or a client id."),
        widget=forms.TextInput(attrs=_EXACT),
    )
    when = StorableDateTimeField(
        label=_("When"),
        widget=forms.DateTimeInput(attrs={"type": "datetime-local", "step": "1"}),
    )
    client = forms.CharField(
        label=_("Only this client id"),
        max_length=255,
        required=False,
        widget=forms.TextInput(attrs=_EXACT),
    )
    scope = forms.CharField(
        label=_("Only with this scope"),
        max_length=255,
        required=False,
        widget=forms.TextInput(attrs=_EXACT),
    )

    def clean_when(self) -> Any:
        when = self.cleaned_data["when"]
        if when > clock.now():
            raise ValidationError(_("Enter a time in the past."), code="future")
        return when

    def question(self) -> as_of.AsOfQuery:
        """Return the query of a valid form."""
        data = self.cleaned_data
        return as_of.AsOfQuery(data["when"], data["person"], data["client"], data["scope"])


def answer(page: ReadOnlyAdmin, request: HttpRequest) -> HttpResponse:
    """Return the page, with the result of a valid query.

    Raises:
        PermissionDenied: the user may not see both delegations and the audit trail.
    """
    if not page.has_view_permission(request) or not request.user.has_perm(
        "delegation_app.view_delegation"
    ):
        raise PermissionDenied
    if request.method not in {"GET", "HEAD"}:
        return HttpResponseNotAllowed(["GET", "HEAD"])
    form = AsOfForm(request.GET or None)
    context: dict[str, Any] = {"form": form}
    if form.is_valid():
        answered = as_of.who_could_act(form.question())
        context |= {
            "answered": answered,
            "most": as_of.MAX_ROWS,
            "lines": [_line(page, request, line) for line in answered.lines],
            "when": form.cleaned_data["when"],
            "unknown": [] if answered.lines else _unknown(page, request, form.question()),
        }
    return render(page, request, "as_of", _("Who could act?"), context)


def _unknown(page: ReadOnlyAdmin, request: HttpRequest, question: as_of.AsOfQuery) -> list[str]:
    visible = labels.visibility_of(page.admin_site, request)
    return as_of.unknown_names(question, visible)


def _line(page: ReadOnlyAdmin, request: HttpRequest, line: Snapshot) -> dict[str, Any]:
    row = line.delegation
    return {
        "line": line,
        "answer": ANSWERS[line.answer],
        "who": summary.principal(row),
        "link": labels.link(
            page.admin_site, request, row, labels.of_client(row.delegate, row.delegate_client_id)
        ),
        "via": line.via[:-1],
        "audience": ", ".join(line.audience),
        "gaps": [GAPS[gap] for gap in line.gaps],
        "events": [
            (
                labels.link(page.admin_site, request, event, str(issued.event_label(event.event))),
                event.occurred_at,
            )
            for event in line.events
        ],
    }
