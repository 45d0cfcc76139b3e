"""Recording what operators change in the registry of clients and resource servers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from delegation_app.events import CLIENT_CHANGED, RESOURCE_SERVER_CHANGED
from delegation_app.models import ResourceServer
from delegation_app.services import audit
from delegation_app.services.transactions import joined
from delegation_app.toolkit import Application

Change = Literal["added", "changed", "deleted"]


def record_client_change(
    application: Application, origin: audit.Origin, *, change: Change, fields: Iterable[str] = ()
) -> None:
    """Record that an application or its policy was changed.

    Args:
        application: the client.
        origin: who changed it.
        change: what was done to it.
        fields: the names of what differs now; never the values, since one may be a secret.

    Side effects: one audit event. Call it in the transaction of the change.
    """
    with joined():
        audit.record(
            CLIENT_CHANGED,
            origin,
            client_id=application.client_id,
            details={"change": change, "fields": list(fields)},
        )


def record_resource_server_change(
    server: ResourceServer, origin: audit.Origin, *, change: Change, fields: Iterable[str] = ()
) -> None:
    """Record that a resource server was changed; see `record_client_change`."""
    with joined():
        audit.record(
            RESOURCE_SERVER_CHANGED,
            origin,
            details={
                "resource_server": server.identifier,
                "change": change,
                "fields": list(fields),
            },
        )
