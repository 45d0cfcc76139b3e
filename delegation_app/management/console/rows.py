"""Delegations on the command line: as JSON, as rows, as a tree."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from django.utils.translation import ngettext

from delegation_app.management.console import output
from delegation_app.models import Delegation
from delegation_app.services.delegations import state as delegation_state
from delegation_app.services.delegations.selection import Preview
from delegation_app.services.delegations.tree import TreeNode
from delegation_app.services.reporting.as_of_history import Snapshot
from delegation_app.services.reporting.audit_export import escaped

HEAD: Final = ("ID", "STATE", "WHO", "CLIENT", "SINCE", "UNTIL", "SCOPES")
HEAD_AS_OF: Final = ("ID", "COULD", "WHO", "CLIENT", "SINCE", "UNTIL", "SCOPES", "EVIDENCE")


def who(row: Delegation) -> str:
    """Return the subject of the principal, with the user name if there is one."""
    user = row.principal_user
    return row.subject if user is None else f"{user.get_username()} ({row.subject})"


def members(row: Delegation) -> dict[str, Any]:
    """Return a delegation as JSON members."""
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
    """Return the cells of a delegation, for the columns of HEAD."""
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
    """Return a delegation at a past time as JSON members."""
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
    """Return the cells of a delegation at a past time, for the columns of HEAD_AS_OF."""
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


def tree(root: TreeNode, current: Delegation) -> Iterator[str]:
    """Yield the lines of a tree; the current delegation has a mark."""
    yield _node(root.row, current)
    yield from _branches(root, "", current)


def _branches(node: TreeNode, indent: str, current: Delegation) -> Iterator[str]:
    for number, child in enumerate(node.children, 1):
        joint, further = ("└─ ", "   ") if number == len(node.children) else ("├─ ", "│  ")
        yield f"{indent}{joint}{_node(child.row, current)}"
        yield from _branches(child, indent + further, current)


def _node(row: Delegation, current: Delegation) -> str:
    state = delegation_state.state(row).value
    text = escaped(f"{row.delegate_client_id} [{state}] {row.scopes}  {row.public_id}")
    return f"{text}  <-- this one" if row.pk == current.pk else text


def preview(counted: Preview) -> str:
    """Return the effects of a revocation, in a line."""
    parts = (
        ("%(count)d delegation ends", "%(count)d delegations end", counted.delegations),
        ("%(count)d live access token", "%(count)d live access tokens", counted.access_tokens),
        ("%(count)d refresh token", "%(count)d refresh tokens", counted.refresh_tokens),
        ("%(count)d client", "%(count)d clients", counted.clients),
        ("%(count)d user", "%(count)d users", counted.people),
    )
    ends, access, refresh, clients, users = (
        ngettext(one, many, count) % {"count": count} for one, many, count in parts
    )
    return f"{ends}, with {access} and {refresh}, of {clients} and {users}."
