"""“Why was it refused?”: the decision on a request or token, step by step."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.admin import AdminSite
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.utils.cache import add_never_cache_headers
from django.utils.translation import gettext_lazy as _

from delegation_app.admin import labels
from delegation_app.admin.audit import details
from delegation_app.admin.base import ReadOnlyAdmin, render
from delegation_app.admin.delegations import issued, summary
from delegation_app.models import AuditEvent
from delegation_app.services.reporting import explanation
from delegation_app.services.reporting.explanation import Explanation


class WhyForm(forms.Form):
    """The text to explain. It may be a secret, so no page repeats it."""

    text = forms.CharField(
        label=_("Request id, token id, delegation id, or token"),
        max_length=explanation.LONGEST,
        help_text=_("It is neither stored nor logged nor shown again."),
        widget=forms.TextInput(
            attrs={
                "autocomplete": "off",
                "autocapitalize": "off",
                "spellcheck": "false",
                "autofocus": True,
            }
        ),
    )


def answer(page: ReadOnlyAdmin, request: HttpRequest) -> HttpResponse:
    """Return the page, with the explanation of a posted text. POST keeps it out of URLs.

    Raises:
        PermissionDenied: the user may not see the audit trail.
    """
    if not page.has_view_permission(request):
        raise PermissionDenied
    if request.method not in {"GET", "HEAD", "POST"}:
        return HttpResponseNotAllowed(["GET", "HEAD", "POST"])
    form = WhyForm(request.POST if request.method == "POST" else None)
    context: dict[str, Any] = {}
    if form.is_valid():
        context = _explained(
            page.admin_site, request, explanation.explain(form.cleaned_data["text"])
        )
    # Only the errors are kept: a bound form would repeat the pasted text
    context |= {"form": WhyForm(), "errors": form.errors.get("text")}
    response = render(page, request, "why", _("Why was it refused?"), context)
    add_never_cache_headers(response)
    return response


def _explained(site: AdminSite, request: HttpRequest, finding: Explanation) -> dict[str, Any]:
    people = labels.of_subjects(
        subject for event in finding.events for subject in (event.actor, event.subject)
    )
    return {
        "finding": finding,
        "steps": [
            {"step": step, "links": [_link(site, request, row) for row in step.evidence]}
            for step in finding.steps
        ],
        "events": [
            {
                "event": event,
                "link": _link(site, request, event),
                "why": details.why(event),
                "actor": labels.with_name(event.actor, people),
            }
            for event in finding.events
        ],
        "delegation": ""
        if finding.delegation is None
        else labels.link(site, request, finding.delegation, str(finding.delegation.public_id)),
    }


def _link(site: AdminSite, request: HttpRequest, row: Model) -> str:
    if isinstance(row, AuditEvent):
        return labels.link(site, request, row, str(issued.event_label(row.event)))
    return labels.link(site, request, row, summary.named(row))
