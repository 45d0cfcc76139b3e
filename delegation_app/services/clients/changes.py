"""Recording changes of the registry of clients and resource servers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from delegation_app.events import CLIENT_CHANGED, RESOURCE_SERVER_CHANGED
from delegation_app.models import ResourceServer
from delegation_app.services import audit
from delegation_app.services.clients.snapshots import Diff
from delegation_app.services.transactions import nested
from delegation_app.toolkit import Application

Change = Literal["added", "changed", "deleted"]


def record_client_change(
    application: Application,
    origin: audit.RequestContext,
    *,
    change: Change,
    fields: Iterable[str] = (),
    values: Diff | None = None,
    decided: Mapping[str, Any] | None = None,
) -> None:
    """Record that an application or its policy was changed.

    Args:
        application: the client.
        origin: the operator.
        change: the kind of change.
        fields: the names of further changed fields, recorded without values.
        values: the differences, see `snapshots`; without secrets.
        decided: the operators who proposed and approved it, if there were two.

    Side effects: one audit event. Call it in the transaction of the change.
    """
    with nested():
        audit.record(
            CLIENT_CHANGED,
            origin,
            client_id=application.client_id,
            details=_details(change, fields, values, decided),
        )


def record_resource_server_change(
    server: ResourceServer,
    origin: audit.RequestContext,
    *,
    change: Change,
    fields: Iterable[str] = (),
    values: Diff | None = None,
    decided: Mapping[str, Any] | None = None,
) -> None:
    """Record that a resource server was changed; see `record_client_change`."""
    details = _details(change, fields, values, decided)
    with nested():
        audit.record(
            RESOURCE_SERVER_CHANGED,
            origin,
            details={"resource_server": server.identifier, **details},
        )


def _details(
    change: Change,
    fields: Iterable[str],
    values: Diff | None,
    decided: Mapping[str, Any] | None,
) -> dict[str, Any]:
    # A new or deleted row has no list of fields: all of them changed
    named = set(values.fields) if values is not None and change == "changed" else set()
    details: dict[str, Any] = {"change": change, "fields": sorted(named | set(fields))}
    if values is not None:
        sides = {"before": dict(values.before), "after": dict(values.after)}
        details |= {name: side for name, side in sides.items() if side}
    return details | dict(decided or {})
