"""Who takes part in an exchange: the subject whose authority it is, and who acts for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from delegation_app.models import AccessToken, Delegation, ResourceServer
from delegation_app.protocol import names
from delegation_app.protocol.audience import Audience
from delegation_app.protocol.claims import client_identity, client_subject
from delegation_app.protocol.errors import InvalidRequest, InvalidScope
from delegation_app.protocol.scope import Scope
from delegation_app.services.clients.lookup import RegisteredClient, known_spelling
from delegation_app.services.tokens import lookup
from delegation_app.services.tokens.lookup import PresentedAccessToken, PresentedRefreshToken

_ACCESS: Final = frozenset({names.ACCESS_TOKEN, names.JWT})


@dataclass(frozen=True, slots=True)
class TypedToken:
    """A token as it was sent, with the type that it was declared to be."""

    text: str = field(repr=False)
    declared: str


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose authority is handed on, and how much of it the presented token shows.

    Attributes:
        delegation: the one behind the token.
        scope: what the token allows now.
        expires_at: when the token ends; None for a refresh token, whose delegation decides.
        may_act: the client id of the only one who may act with it; empty for no such rule.
        jti: the token's id; empty for a refresh token.
        is_own: whether it was issued to the client that presents it.
    """

    delegation: Delegation
    scope: Scope
    expires_at: datetime | None
    may_act: str
    jti: str
    is_own: bool


@dataclass(frozen=True, slots=True)
class Actors:
    """Who acts once the token is exchanged.

    Attributes:
        chain: identities, the current actor first (RFC 8693 section 4.1).
        impersonated: whether the current actor was left out.
        presented: the actor token; None without one.
    """

    chain: tuple[dict[str, str], ...]
    impersonated: bool = False
    presented: AccessToken | None = None


def subject(token: TypedToken, client: RegisteredClient) -> Subject:
    """Return the subject of an exchange.

    Reads only: RFC 8693 section 2.1 leaves the presented tokens as they are.

    Raises:
        InvalidRequest: the token is not of the declared type, not valid, or not for `client`. The
            description does not say which, so nobody learns of other people's tokens.
    """
    found = _find(token)
    if isinstance(found, PresentedRefreshToken):
        return _refresh_token(found, client)
    # RFC 8693 section 5: who is neither the audience nor the holder would launder the token
    if not (
        _holds(client, found) or _stands_in_audience(client, found) or _is_named(client, found)
    ):
        where = ", ".join(found.row.audience)
        detail = f"{client.client_id} is not among the introspecting clients of {where}"
        raise _bad_subject(detail, found.row.delegation)
    scope = found.scope_at(None)
    if not scope:
        raise _bad_subject("nothing of it is left", found.row.delegation)
    row = found.row
    return Subject(
        delegation=row.delegation,
        scope=scope,
        expires_at=row.expires_at,
        may_act=found.may_act,
        jti=row.jti,
        is_own=_holds(client, found),
    )


def actors(token: TypedToken | None, of: Subject, client: RegisteredClient) -> Actors:
    """Return who acts with the exchanged token.

    Args:
        token: the actor token; None lets the authenticated client be the actor.
        of: the subject.
        client: the authenticated client.

    Raises:
        InvalidRequest: the actor token is not valid, is not the client's own, or its subject may
            not act for this one.
    """
    presented = None if token is None else _actor_of(token, of, client)
    actor = client.client_id if presented is None else presented.delegation.delegate_client_id
    history = tuple(of.delegation.actors)
    # Who narrows what it holds becomes nobody's actor by that.
    if token is None and of.is_own:
        return Actors(history)
    # RFC 8693 section 4.4: the one that is named, and nobody else
    if of.may_act not in {"", actor}:
        raise _bad_subject("may_act names another client", of.delegation)
    # RFC 8693 section 1.1: without an actor the token would be the subject's own
    if token is None and client.policy.may_impersonate:
        return Actors(history, impersonated=True)
    identity = client_identity(actor)
    # RFC 8693 section 4.1: the outermost acts now, what was before is nested and never edited
    chain = history if history[:1] == (identity,) else (identity, *history)
    return Actors(chain, presented=presented)


def _find(token: TypedToken) -> PresentedAccessToken | PresentedRefreshToken:
    found = lookup.find(token.text)
    # RFC 8693 section 2.1: it must be valid, and of the type that it is declared to be
    if found is None or not found.active or not _is_declared(found, token.declared):
        # The audit trail can say whose it was, also where its time is over
        known = found or lookup.find(token.text, allow_expired=True)
        about = None if known is None else known.row.delegation
        raise _bad_subject("unknown, not valid, or of another type", about)
    return found


def _is_declared(found: lookup.Presented, declared: str) -> bool:
    if isinstance(found, PresentedRefreshToken):
        return declared == names.REFRESH_TOKEN_TYPE
    is_jwt = found.row.digest is None
    return declared in _ACCESS and (is_jwt or declared != names.JWT)


def _refresh_token(found: PresentedRefreshToken, client: RegisteredClient) -> Subject:
    # Validated as in its own grant, and not used up: only its own client may present it
    row, delegation = found.row, found.row.delegation
    if delegation.delegate_id != client.application.pk:
        raise _bad_subject("a refresh token of another client", delegation)
    if not client.policy.may_exchange_refresh_tokens:
        raise _refusal("This client may not exchange refresh tokens.", "policy", delegation)
    audience = row.audience & delegation.audience & Audience(client.servers)
    scope = client.known_scope(row.scope & delegation.scopes, audience)
    if not scope:
        raise _bad_subject("nothing of it is left", delegation)
    return Subject(delegation, scope, None, client.policy.may_act, "", is_own=True)


def _actor_of(token: TypedToken, of: Subject, client: RegisteredClient) -> AccessToken:
    found = lookup.find(token.text)
    if (
        not isinstance(found, PresentedAccessToken)
        or not found.active
        or not _is_declared(found, token.declared)
    ):
        raise _bad_actor("unknown, not valid, or of another type", of)
    delegation = found.row.delegation
    # It speaks for its own holder only. The token of a person who lets the client do something, or
    # of another chain, proves nothing about who acts here.
    actor = delegation.delegate_client_id
    if delegation.subject != client_subject(actor):
        raise _bad_actor(f"not about its own holder: {delegation.public_id}", of)
    if _holds(client, found):
        return found.row
    # Somebody else's only if the subject names that one, and only from where it was sent to
    if of.may_act == actor and _stands_in_audience(client, found):
        return found.row
    raise _bad_actor(f"not this client's to present: {delegation.public_id}", of)


def _holds(client: RegisteredClient, found: PresentedAccessToken) -> bool:
    return found.row.delegation.delegate_id == client.application.pk


def _stands_in_audience(client: RegisteredClient, found: PresentedAccessToken) -> bool:
    return bool(found.audience & Audience(own_resource_servers(client)))


def _is_named(client: RegisteredClient, found: PresentedAccessToken) -> bool:
    return found.may_act == client.client_id


def _bad_subject(detail: str, about: Delegation | None = None) -> InvalidRequest:
    return _refusal("The subject token is not valid.", f"subject_token: {detail}", about)


def _bad_actor(detail: str, of: Subject) -> InvalidRequest:
    return _refusal("The actor token is not valid.", f"actor_token: {detail}", of.delegation)


def _refusal(description: str, detail: str, about: Delegation | None) -> InvalidRequest:
    error = InvalidRequest(description, detail=detail)
    error.about = about
    return error


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
