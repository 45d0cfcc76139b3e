"""The checkboxes of a consent screen."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _

from delegation_app import toolkit
from delegation_app.protocol.scope import Scope
from delegation_app.services.consent import risk
from delegation_app.services.consent.fragments import sanitize
from delegation_app.services.consent.request import ConsentRequest


def content(request: ConsentRequest) -> dict[str, Any]:
    """Return the groups of scopes: required, optional, and already granted."""
    groups = []
    needed = request.selectable & request.required
    optional = request.selectable - request.required
    if needed:
        hint = _("It cannot work without these. Allow them all, or deny.")
        groups.append(_group(request, _("It needs to"), hint, needed))
    if optional:
        hint = _("Untick what you do not want.")
        groups.append(_group(request, _("It may also") if needed else _("It may"), hint, optional))
    held = _group(
        request,
        _("It may already"),
        _("You allowed this before. It stays."),
        request.already_granted,
    )
    return {"groups": groups, "held": held if request.already_granted else None}


def preselected(request: ConsentRequest) -> Scope:
    """Return the scopes that are selected when the screen opens: none of high risk."""
    return request.selectable - risk.risky(request.selectable)


def _group(request: ConsentRequest, legend: str, hint: str, scope: Scope) -> dict[str, Any]:
    if risk.risky(scope) and scope <= request.selectable:
        hint = _("%(hint)s Items of high risk are not ticked: choose them yourself.") % {
            "hint": hint
        }
    rows = [_row(request, name) for name in scope]
    return {"legend": legend, "hint": hint, "scopes": rows}


def _row(request: ConsentRequest, name: str) -> dict[str, Any]:
    level = risk.of(name)
    before = request.already_granted | request.previously_granted
    marks = []
    if name in request.selectable and before and name not in before:
        marks.append({"kind": "new", "text": _("new")})
    if name in request.previously_granted:
        marks.append({"kind": "known", "text": _("allowed before")})
    if name in request.required and name in request.selectable:
        marks.append({"kind": "needed", "text": _("needed")})
    return {
        "name": name,
        "text": sanitize(toolkit.all_scopes().get(name, name)),
        "risk": level.value,
        "risk_text": str(level.label),
        "marks": marks,
        "ticked": name in preselected(request),
    }
