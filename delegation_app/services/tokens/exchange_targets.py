"""Where an exchange may lead, and with how much (RFC 8693 section 2.1, RFC 8707)."""

from __future__ import annotations

from delegation_app.models import ResourceServer
from delegation_app.protocol.audience import Audience
from delegation_app.protocol.errors import InvalidScope
from delegation_app.protocol.scope import Scope
from delegation_app.services.clients.lookup import RegisteredClient, known_spelling


def audience_of(
    client: RegisteredClient, names: tuple[str, ...], resources: tuple[str, ...]
) -> Audience:
    """Return the resource servers that a client wants a token for.

    Args:
        client: the exchanging client; its policy lists what it may reach.
        names: the values of `audience`, each the name or the identifier of a resource server.
        resources: the values of `resource`.

    Raises:
        InvalidTarget: one is malformed, unknown, inactive or not for this client; or none was
            named and the client has no default.
    """
    by_name = {server.name: server.identifier for server in client.servers.values()}
    # RFC 8693 section 2.1: both parameters name targets, and may be mixed
    wanted = [by_name.get(name) or known_spelling(name, client.servers) for name in names]
    # RFC 8693 section 2.2.2: unknown and unacceptable targets look the same
    client.refuse_unreachable(wanted, "An audience is unknown or not for this client.")
    if wanted:
        return client.audience((*wanted, *resources))
    return client.audience(resources)


def scope_at(
    client: RegisteredClient, requested: str | None, held: Scope, audience: Audience
) -> Scope:
    """Return the scope of a token that is made from another one.

    Args:
        client: the exchanging client.
        requested: the value of `scope`; None for all that can be used at the targets.
        held: what the subject token allows now.
        audience: the targets.

    Raises:
        InvalidScope: more than the subject token or the client has, or nothing of it can be used
            at every target (RFC 8693 section 2.1.1).
    """
    available = held & client.policy.scopes
    wanted = None if requested is None else client.tolerated(Scope.parse(requested), available)
    scope = available if wanted is None else wanted
    if more := scope - available:
        message = "The scope is more than the subject token or the client has"
        raise InvalidScope(f"{message}: {more.listed()}.")
    for identifier in audience:
        scope &= client.servers[identifier].scopes
    return client.effective_scope(scope, audience)


def own_resource_servers(client: RegisteredClient) -> frozenset[str]:
    """Return the identifiers of the active resource servers that a client is. One statement."""
    servers = ResourceServer.objects.filter(introspectors=client.application.pk, active=True)
    return frozenset(servers.values_list("identifier", flat=True))
