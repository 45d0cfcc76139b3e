"""The review of a consent: requested scopes, decision, and changes from the previous one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from delegation_app.admin import labels
from delegation_app.models import ConsentRecord
from delegation_app.protocol.scope import Scope
from delegation_app.services.consent import risk
from delegation_app.services.consent.history import descriptions


@dataclass(frozen=True, slots=True)
class Row:
    """A requested scope and its decision."""

    name: str
    text: str
    risk: str
    answer: str


@dataclass(frozen=True, slots=True)
class Review:
    """A decision compared with the previous one.

    Attributes:
        rows: the requested scopes with their decisions.
        before: the previous decision of the same user about the same client.
        differences: the changes, a line each.
        following: the next decision.
    """

    rows: list[Row]
    before: ConsentRecord | None
    differences: list[str]
    following: ConsentRecord | None


def of(record: ConsentRecord) -> Review:
    """Return the review of a consent, with two statements."""
    pair = ConsentRecord.objects.filter(
        subject=record.subject, client_id_value=record.client_id_value
    )
    earlier = pair.filter(decided_at__lt=record.decided_at).order_by("-decided_at", "-pk")
    later = pair.filter(decided_at__gt=record.decided_at).order_by("decided_at", "pk")
    before = earlier.first()
    found = [] if before is None else _differences(before, record)
    return Review(_rows(record), before, found, later.first())


def _rows(record: ConsentRecord) -> list[Row]:
    return [
        Row(name, text, str(risk.of(name).label), _answer(record, name))
        for name, text in descriptions(record.scopes_asked)
    ]


def _answer(record: ConsentRecord, name: str) -> str:
    held = (record.shown.get("held") or {}).get("scopes", ())
    if name in {row["name"] for row in held}:
        return _("granted before")
    return _("granted") if name in record.scopes_granted else _("refused")


def _differences(before: ConsentRecord, now: ConsentRecord) -> list[str]:
    lines = [
        *_of_scopes(_("Newly requested"), now.scopes_asked - before.scopes_asked),
        *_of_scopes(_("No longer requested"), before.scopes_asked - now.scopes_asked),
        *_of_scopes(_("Newly granted"), now.scopes_granted - before.scopes_granted),
        *_of_scopes(_("No longer granted"), before.scopes_granted - now.scopes_granted),
    ]
    for label, old, new in (
        (_("Decision"), before.get_decision_display(), now.get_decision_display()),
        (_("Audience"), _places(before), _places(now)),
        (_("Limits"), _limits(before), _limits(now)),
        (_("Redirect host"), before.redirect_host, now.redirect_host),
        (_("Client name"), before.client_name, now.client_name),
        (_("Expires"), _day(before.chosen_expiry), _day(now.chosen_expiry)),
    ):
        if old != new:
            lines.append(
                _("%(what)s: %(new)s, previously %(old)s") % {"what": label, "new": new, "old": old}
            )
    return lines


def _of_scopes(label: str, scope: Scope) -> list[str]:
    return [f"{label}: {', '.join(scope)}"] if scope else []


def _places(record: ConsentRecord) -> str:
    return ", ".join(record.audience)


def _limits(record: ConsentRecord) -> str:
    return " ".join(record.constraints.describe()) or _("none")


def _day(moment: datetime | None) -> str:
    if moment is None:
        return _("never")
    return date_format(timezone.localtime(moment), "DATETIME_FORMAT")


def link(page: Any, request: Any, record: ConsentRecord | None) -> str:
    """Return a link to another decision; empty without one."""
    if record is None:
        return ""
    text = f"{_day(record.decided_at)} ({record.get_decision_display()})"
    return labels.link(page.admin_site, request, record, text)
