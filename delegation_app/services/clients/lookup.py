"""Clients with their policies and resource servers, read in one statement."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any, Final

from django.core.exceptions import ObjectDoesNotExist
from django.db.models import F, QuerySet, Subquery

from delegation_app import toolkit
from delegation_app.conf import conf
from delegation_app.models import ClientPolicy, ResourceServer, SigningKey
from delegation_app.services.clients.registered_client import RegisteredClient, Server
from delegation_app.services.prepared import PreparedQuery
from delegation_app.toolkit import Application

# The resource servers to read with a client: its audiences, or those that it introspects for
TARGETS: Final = "delegation_policy__audiences"
INTROSPECTS: Final = "introspectable_resource_servers"


def find(client_id: str, relation: str = TARGETS) -> RegisteredClient | None:
    """Return an enabled or disabled client by its client id.

    Args:
        client_id: as sent.
        relation: TARGETS or INTROSPECTS, the resource servers to read with it.
    """
    found = _FIND[relation].fetch(client_id)
    return from_rows(found[0], found) if found else None


def _application(client_id: str, relation: str) -> QuerySet[Any]:
    rows = toolkit.application_model()._default_manager.filter(client_id=client_id)
    # So that no process signs with a replaced key; see `signing_keys.signer`
    active = SigningKey.objects.filter(state=SigningKey.KeyState.ACTIVE)
    rows = rows.annotate(signing_kid=Subquery(active.values("kid")[:1]))
    beside = ("delegation_policy", "delegation_previous_secret", "delegation_secret_digest")
    return with_servers(rows.select_related(*beside), relation)


_FIND: Final = {
    relation: PreparedQuery(partial(_application, relation=relation))
    for relation in (TARGETS, INTROSPECTS)
}


def with_servers(rows: QuerySet[Any], relation: str) -> QuerySet[Any]:
    """Join the resource servers behind `relation`: a row for each, all in one statement."""
    columns = ("pk", "name", "identifier", "scopes", "token_format", "active")
    joined: QuerySet[Any] = rows.annotate(
        **{f"server_{name}": F(f"{relation}__{name}") for name in columns}
    )
    return joined


def from_rows(application: Application, rows: Iterable[Any]) -> RegisteredClient:
    """Build a client from its application and the rows of `with_servers`."""
    try:
        policy = application.delegation_policy
    except ObjectDoesNotExist:
        return _without_policy(application)
    servers = (
        Server(
            row.server_pk,
            row.server_name,
            row.server_identifier,
            row.server_scopes,
            row.server_token_format == ResourceServer.TokenFormat.OPAQUE,
        )
        for row in rows
        if row.server_active
    )
    return RegisteredClient(application, policy, {server.identifier: server for server in servers})


def _without_policy(application: Application) -> RegisteredClient:
    # Safe defaults: from the application row, for the site's default audience only
    policy = ClientPolicy(
        application=application,
        grants=sorted(toolkit.default_grants(application)),
        scopes=toolkit.available_scopes(application),
    )
    rows = ResourceServer.objects.filter(identifier=conf.default_audience, active=True)
    servers = {
        row.identifier: Server(
            row.pk,
            row.name,
            row.identifier,
            row.scopes,
            row.token_format == ResourceServer.TokenFormat.OPAQUE,
        )
        for row in rows
    }
    return RegisteredClient(application, policy, servers)
