"""Delegations as the command line tells them: as JSON, as a line, as a tree."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from django.utils.translation import ngettext

from delegation_app.management.console import output
from delegation_app.models import Delegation
from delegation_app.services.delegations import state as delegation_state
from delegation_app.services.delegations.preview import Preview
from delegation_app.services.reporting.as_of_history import Snapshot
from delegation_app.services.reporting.audit_export import escaped

HEAD: Final = ("ID", "STATE", "WHO", "CLIENT", "SINCE", "UNTIL", "SCOPES")
HEAD_AS_OF: Final = ("ID", "COULD", "WHO", "CLIENT", "SINCE", "UNTIL", "SCOPES", "EVIDENCE")


def who(row: Delegation) -> str:
    """Return whose authority it is: the user name if there is one, and the subject."""
    user = row.principal_user
    return row.subject if user is None else f"{user.get_username()} ({row.subject})"


def members(row: Delegation) -> dict[str, Any]:
    """Return a delegation as JSON has it."""
    return {
        "id": row.public_id,
        "state": delegation_state.state(row).value,
        "subject": row.subject,
        "client_id": row.delegate_client_id,
        "scopes": list(row.scopes),
        "audience": list(row.audience),
        "grant_type": row.grant_type,
        "depth": row.depth,
        "chain": row.chain,
        "constraints": row.constraints.as_json(),
        "issued_at": row.issued_at,
        "expires_at": row.expires_at,
        "last_used_at": row.last_used_at,
        "revoked_at": row.revoked_at,
        "revoked_by": row.revoked_by,
        "reason": row.revocation_reason,
    }


def line(row: Delegation) -> tuple[str, ...]:
    """Return the cells under HEAD."""
    return (
        str(row.public_id),
        delegation_state.state(row).value,
        who(row),
        row.delegate_client_id,
        output.moment(row.issued_at),
        output.moment(row.expires_at),
        str(row.scopes),
    )


def members_as_of(found: Snapshot) -> dict[str, Any]:
    """Return a delegation as it was, as JSON has it."""
    return {
        "id": found.delegation.public_id,
        "could_act": found.answer.value,
        "subject": found.delegation.subject,
        "client_id": found.delegation.delegate_client_id,
        "via": list(found.via),
        "scopes": list(found.scopes),
        "audience": list(found.audience),
        "since": found.since,
        "until": found.until,
        "revoked_at": found.ended_at,
        "disabled": list(found.stopped_by),
        "gaps": [gap.value for gap in found.gaps],
        "events": [
            {"id": event.pk, "event": event.event, "occurred_at": event.occurred_at}
            for event in found.events
        ],
    }


def line_as_of(found: Snapshot) -> tuple[str, ...]:
    """Return the cells under HEAD_AS_OF."""
    return (
        str(found.delegation.public_id),
        found.answer.value,
        who(found.delegation),
        found.delegation.delegate_client_id,
        output.moment(found.since),
        output.moment(found.until),
        str(found.scopes),
        ", ".join(f"{event.event} #{event.pk}" for event in found.events),
    )


def tree(rows: Iterable[Delegation], chosen: Delegation) -> Iterator[str]:
    """Yield the lines of a tree; the chosen delegation has a mark.

    Args:
        rows: the tree, each after what it was made from.
        chosen: one of them.
    """
    children: dict[int | None, list[Delegation]] = {}
    for row in rows:
        children.setdefault(row.parent_id, []).append(row)
    yield from _branch(children, None, "", chosen)


def _branch(
    children: Mapping[int | None, list[Delegation]],
    parent: int | None,
    indent: str,
    chosen: Delegation,
) -> Iterator[str]:
    below = children.get(parent, [])
    for number, row in enumerate(below, 1):
        is_last = number == len(below)
        joint, further = ("└─ ", "   ") if is_last else ("├─ ", "│  ")
        if parent is None:
            joint = further = ""
        mark = "  <-- this one" if row.pk == chosen.pk else ""
        state = delegation_state.state(row).value
        text = f"{row.delegate_client_id} [{state}] {row.scopes}  {row.public_id}"
        yield f"{indent}{joint}{escaped(text)}{mark}"
        yield from _branch(children, row.pk, indent + further, chosen)


def preview(counted: Preview) -> str:
    """Return what would end, in a line."""
    ends, access, refresh, clients, people = (
        text % {"count": count} for text, count in _counted(counted)
    )
    return f"{ends}, with {access} and {refresh}, of {clients} and {people}."


def _counted(counted: Preview) -> Iterator[tuple[str, int]]:
    number = counted.delegations
    yield ngettext("%(count)d delegation ends", "%(count)d delegations end", number), number
    number = counted.access_tokens
    text = ngettext("%(count)d live access token", "%(count)d live access tokens", number)
    yield text, number
    number = counted.refresh_tokens
    yield ngettext("%(count)d refresh token", "%(count)d refresh tokens", number), number
    number = counted.clients
    yield ngettext("%(count)d client", "%(count)d clients", number), number
    number = counted.people
    yield ngettext("%(count)d person", "%(count)d people", number), number
