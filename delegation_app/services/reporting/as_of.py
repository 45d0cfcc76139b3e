"""Who could act for somebody at a time: what the rows say now, taken back by what the trail tells.

A delegation says since when and until when it was there; its own events and those of what it
was made from say what it allowed then. Whether a client was enabled is told by the events of
its policy: each change of that switch is one, so from how it stands now and how often it was
turned since follows how it stood. What leaves no event can't be told, and is named as a gap.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db.models import Q

from delegation_app.models import Delegation
from delegation_app.services import name_search, name_suggestions
from delegation_app.services.name_suggestions import VisibilityScope
from delegation_app.services.paging import Newest
from delegation_app.services.reporting.as_of_history import History, Snapshot

MOST: Final = 200


@dataclass(frozen=True, slots=True)
class AsOfQuery:
    """What is asked.

    Attributes:
        when: the moment.
        principal: a subject, a user name or a client id; empty for all.
        client_id: who acts; empty for all.
        scope: what they could do; empty for anything.
    """

    when: datetime
    principal: str = ""
    client_id: str = ""
    scope: str = ""


@dataclass(frozen=True, slots=True)
class AsOfResult:
    """The lines, newest first, and whether there may be more than `MOST`."""

    lines: list[Snapshot]
    is_cut: bool


def who_could_act(question: AsOfQuery) -> AsOfResult:
    """Return who could act at that time, as far as it is on record. Reads only.

    A delegation that was there but could not be used is listed too, and says why.
    """
    found = _there(question).page(MOST)
    records = History.of(found.rows, question.when)
    lines = [records.line(row) for row in found.rows]
    kept = [
        line
        for line in lines
        if (not question.scope or question.scope in line.scopes)
        and (line.until is None or line.until > question.when)
    ]
    return AsOfResult(kept, is_cut=bool(found.older))


def unknown(question: AsOfQuery, visible: VisibilityScope) -> list[str]:
    """Return a sentence for each name in a question that does not exist. Reads only.

    "Nobody" would be a false answer to a name that was mistyped.

    Args:
        question: what was asked, and had no answer.
        visible: whose names the reader may see.
    """
    found = (
        name_suggestions.of_party(question.principal, visible) if question.principal else "",
        name_suggestions.of_client(question.client_id, visible) if question.client_id else "",
        name_suggestions.of_scope(question.scope) if question.scope else "",
    )
    return [sentence for sentence in found if sentence]


def _there(question: AsOfQuery) -> Newest[Delegation]:
    when = question.when
    # Narrowed since, perhaps, so what has expired may have had a later end then
    rows = Delegation.objects.filter(
        Q(expires_at=None) | Q(expires_at__gt=when) | Q(narrowed_after__isnull=False),
        Q(revoked_at=None) | Q(revoked_at__gt=when),
        issued_at__lte=when,
    ).select_related("principal_user", "principal_client", "delegate")
    if question.client_id:
        rows = rows.filter(delegate_client_id=question.client_id)
    if not question.principal:
        return Newest("issued_at", [rows])
    subjects = name_search.subjects(question.principal)
    return Newest("issued_at", [rows.filter(subject=subject) for subject in subjects])
