"""The part of a question that has boxes to tick, and what stands beside an app's name."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from delegation_app import toolkit
from delegation_app.models import ClientPolicy
from delegation_app.models.fields import validate_web_address
from delegation_app.protocol.scope import Scope
from delegation_app.services.consent import history, risk
from delegation_app.services.consent.fragments import sanitize
from delegation_app.services.consent.request import ConsentRequest


def content(asked: ConsentRequest) -> dict[str, Any]:
    """Return the groups of scopes: what has to be allowed, what may be, and what is allowed."""
    groups = []
    needed = asked.offered & asked.required
    optional = asked.offered - asked.required
    if needed:
        hint = _("It cannot work without these. Allow them all, or deny.")
        groups.append(_group(asked, _("It needs to"), hint, needed))
    if optional:
        hint = _("Untick what you do not want.")
        groups.append(_group(asked, _("It may also") if needed else _("It may"), hint, optional))
    held = _group(asked, _("It may already"), _("You allowed this before. It stays."), asked.held)
    return {"groups": groups, "held": held if asked.held else None}


def links(policy: ClientPolicy) -> list[dict[str, str]]:
    """Return the pages of an app that its policy names, each with the host that it leads to.

    They are looked at again: scripts can store what the forms refuse.
    """
    found = []
    for label, address in (
        (_("Home page"), policy.home_page),
        (_("Privacy"), policy.privacy_page),
    ):
        try:
            validate_web_address(address)
        except ValidationError:
            continue
        host = urlsplit(address).hostname or ""
        found.append({"label": label, "address": address, "host": host})
    return found


def to_be_confirmed(asked: ConsentRequest) -> Scope:
    """Return the scopes that an operator has to confirm, if they are ticked."""
    return risk.risky(asked.offered) if asked.client.policy.confirm_risky else Scope()


def bound(asked: ConsentRequest, risky: Scope) -> datetime | None:
    """Return when an answer ends at the latest, for the sake of what is risky and was granted.

    Args:
        asked: the question.
        risky: what has to be confirmed, and may be already.
    """
    if not asked.client.policy.confirm_risky:
        return None
    confirmed = history.confirmed(asked, risky) if risky else None
    ends = [
        history.held_until(asked, risk.risky(asked.held)),
        None if confirmed is None else confirmed.chosen_expiry,
    ]
    return min((end for end in ends if end is not None), default=None)


def ticked_first(asked: ConsentRequest) -> Scope:
    """Return what is ticked when the page opens: nothing that is risky."""
    return asked.offered - risk.risky(asked.offered)


def _group(asked: ConsentRequest, legend: str, hint: str, scope: Scope) -> dict[str, Any]:
    if risk.risky(scope) and scope <= asked.offered:
        hint = _("%(hint)s What has a high risk is not ticked: choose it yourself.") % {
            "hint": hint
        }
    rows = [_row(asked, name) for name in scope]
    return {"legend": legend, "hint": hint, "scopes": rows}


def _row(asked: ConsentRequest, name: str) -> dict[str, Any]:
    level = risk.of(name)
    before = asked.held | asked.known
    marks = []
    if name in asked.offered and before and name not in before:
        marks.append({"kind": "new", "text": _("new")})
    if name in asked.known:
        marks.append({"kind": "known", "text": _("allowed before")})
    if name in asked.required and name in asked.offered:
        marks.append({"kind": "needed", "text": _("needed")})
    return {
        "name": name,
        "text": sanitize(toolkit.all_scopes().get(name, name)),
        "risk": level.value,
        "risk_text": str(level.label),
        "marks": marks,
        "ticked": name in ticked_first(asked),
    }
