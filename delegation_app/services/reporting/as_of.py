"""Who could act for a principal at a time: the present rows, reverted by the audit trail.

A row has the times of its issue and end. Its events and those of its ancestors have the terms at
the time. Whether a client was enabled follows from its present state and the events of its policy.
Facts without an event cannot be reconstructed, and are reported as unknown.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db.models import Q

from delegation_app.models import Delegation
from delegation_app.services import name_search, name_suggestions
from delegation_app.services.name_suggestions import VisibilityScope
from delegation_app.services.paging import KeysetList
from delegation_app.services.reporting.as_of_history import History, Snapshot

MAX_ROWS: Final = 200


@dataclass(frozen=True, slots=True)
class AsOfQuery:
    """The query.

    Attributes:
        when: the time.
        principal: a subject, a user name or a client id; empty for all.
        client_id: of the delegate; empty for all.
        scope: a scope that the delegation had; empty for any.
    """

    when: datetime
    principal: str = ""
    client_id: str = ""
    scope: str = ""


@dataclass(frozen=True, slots=True)
class AsOfResult:
    """The lines, newest first, and whether only the newest `MAX_ROWS` were checked."""

    lines: list[Snapshot]
    is_cut: bool


def who_could_act(query: AsOfQuery) -> AsOfResult:
    """Return who could act at that time, as far as it is recorded. Reads only.

    Delegations that existed but could not be used are included, with the reason.
    """
    found = _existing(query).page(MAX_ROWS)
    records = History.of(found.rows, query.when)
    lines = [records.line(row) for row in found.rows]
    kept = [
        line
        for line in lines
        if (not query.scope or query.scope in line.scopes)
        and (line.until is None or line.until > query.when)
    ]
    return AsOfResult(kept, is_cut=bool(found.older))


def unknown_names(query: AsOfQuery, visible: VisibilityScope) -> list[str]:
    """Return a sentence for each unknown name in a query; see `name_suggestions`.

    Without it, an empty result for a mistyped name would mislead.
    """
    return name_suggestions.unknown_names(
        visible, parties=(query.principal,), client_id=query.client_id, scope=query.scope
    )


def _existing(query: AsOfQuery) -> KeysetList[Delegation]:
    when = query.when
    # A delegation narrowed since then may have had a later expiry
    rows = Delegation.objects.filter(
        Q(expires_at=None) | Q(expires_at__gt=when) | Q(narrowed_after__isnull=False),
        Q(revoked_at=None) | Q(revoked_at__gt=when),
        issued_at__lte=when,
    ).select_related("principal_user", "principal_client", "delegate")
    if query.client_id:
        rows = rows.filter(delegate_client_id=query.client_id)
    if not query.principal:
        return KeysetList("issued_at", [rows])
    subjects = name_search.subjects(query.principal)
    return KeysetList("issued_at", [rows.filter(subject=subject) for subject in subjects])
