"""Token introspection (RFC 7662)."""

from __future__ import annotations

from typing import Any, Final

from delegation_app import clock
from delegation_app.conf import conf
from delegation_app.models import AccessToken, Delegation, RefreshToken
from delegation_app.protocol.audience import Audience
from delegation_app.protocol.claims import authority
from delegation_app.protocol.constraints import AccessContext, EnforcementPoint
from delegation_app.protocol.errors import UnauthorizedClient
from delegation_app.protocol.scope import Scope
from delegation_app.services.clients.registered_client import RegisteredClient, Server
from delegation_app.services.tokens import lookup, usage

INACTIVE: Final[dict[str, Any]] = {"active": False}


def introspect(text: str, caller: RegisteredClient) -> dict[str, Any]:
    """Return what `caller` may know about a token (RFC 7662 section 2.2).

    Args:
        text: the token as presented.
        caller: an authenticated client, with the resource servers that it represents.

    Returns:
        The members of the response; only `{"active": False}` for a token that is unknown, invalid
        or outside the caller's audience.

    Raises:
        UnauthorizedClient: the caller is a public client (RFC 7662 section 2.1).

    Side effects: records the use of the delegation, at most once a minute; may fail silently.
    """
    if not caller.is_confidential:
        raise UnauthorizedClient("Public clients may not introspect tokens.")
    found = lookup.find(text)
    if found is None or not found.active:
        return INACTIVE
    if isinstance(found, lookup.PresentedRefreshToken):
        return _refresh_token(found.row, caller)
    return _access_token(found, caller)


def refusal_at(found: lookup.PresentedAccessToken, server: Server) -> str | None:
    """Return the reason why constraints refuse a token at a resource server now, or None."""
    where = Audience([server.identifier])
    access = AccessContext(EnforcementPoint.INTROSPECTION, clock.now(), audience=where)
    return found.row.delegation.constraints.refusal(access)


def _access_token(found: lookup.PresentedAccessToken, caller: RegisteredClient) -> dict[str, Any]:
    token = found.row
    places = [server for server in _places(found, caller) if refusal_at(found, server) is None]
    # RFC 7662 section 2.2: a resource server learns only of its own scopes
    scope = Scope(name for server in places for name in found.scope_at(server))
    # Nothing is left: the policy or the resource servers have changed since the token was issued
    if not scope:
        return INACTIVE
    if any(name in caller.servers for name in token.audience):
        usage.note(token.delegation, clock.now())
    # RFC 7662 section 2.2, RFC 8693 section 4: the same members as in the token
    claims = authority(token.delegation.actors, found.may_act, token.delegation.constraints.claim())
    answer = _answer(token, scope, token_type="Bearer", jti=token.jti)  # noqa: S106 - a type
    return answer | claims | (_record(token) if caller.policy.may_introspect_all else {})


def _places(found: lookup.PresentedAccessToken, caller: RegisteredClient) -> list[Server]:
    # The caller's own resource servers, or all for a caller that may know the token
    own = [caller.servers[name] for name in found.row.audience if name in caller.servers]
    if own or found.client is None or not _may_know(found.row.delegation, caller):
        return own
    return [found.client.servers[name] for name in found.audience]


def _record(token: AccessToken) -> dict[str, Any]:
    # Only for clients that may introspect all tokens
    delegation = token.delegation
    consent = delegation.consent
    return {
        "delegation": {
            "id": str(delegation.public_id),
            "grant_type": delegation.grant_type,
            "chain": delegation.chain,
            "constraints": delegation.constraints.as_json(),
            "consent": None if consent is None else str(consent.public_id),
        }
    }


def _refresh_token(token: RefreshToken, caller: RegisteredClient) -> dict[str, Any]:
    # No resource server ever has to judge a refresh token
    if not _may_know(token.delegation, caller):
        return INACTIVE
    scope = token.scope & token.delegation.scopes
    return _answer(token, scope) if scope else INACTIVE


def _may_know(delegation: Delegation, caller: RegisteredClient) -> bool:
    own = delegation.delegate_id == caller.application.pk
    return own or caller.policy.may_introspect_all


def _answer(token: AccessToken | RefreshToken, scope: Scope, **more: str) -> dict[str, Any]:
    delegation = token.delegation
    issued_at = int(token.issued_at.timestamp())
    # The delegation may have been narrowed since
    audience = token.audience & delegation.audience
    return {
        "active": True,
        "iss": conf.issuer,
        "sub": delegation.subject,
        "aud": audience.claim(),
        "client_id": delegation.delegate_client_id,
        "scope": str(scope),
        "iat": issued_at,
        "nbf": issued_at,
        "exp": int(lookup.ends_at(token).timestamp()),
        "delegation_id": str(delegation.public_id),
        **more,
    }
