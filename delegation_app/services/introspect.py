"""Answering questions about tokens (RFC 7662)."""

from __future__ import annotations

from typing import Any, Final

from django.utils import timezone

from delegation_app.conf import conf
from delegation_app.models import AccessToken, Delegation, RefreshToken
from delegation_app.protocol.audience import Audience
from delegation_app.protocol.errors import UnauthorizedClient
from delegation_app.protocol.scope import Scope
from delegation_app.services import presented
from delegation_app.services.clients import Client, Server

INACTIVE: Final[dict[str, Any]] = {"active": False}


def introspect(text: str, caller: Client) -> dict[str, Any]:
    """Return what `caller` may know about a token (RFC 7662 section 2.2).

    Args:
        text: the token as presented.
        caller: an authenticated client, read with the resource servers that it speaks for.

    Returns:
        The members of the answer; `{"active": False}` alone for every token that is unknown,
        not valid or none of the caller's business.

    Raises:
        UnauthorizedClient: a public client asks (RFC 7662 section 2.1).

    Side effects: notes that the delegation was used, at most once a minute.
    """
    if not caller.is_confidential:
        raise UnauthorizedClient("Public clients may not introspect tokens.")
    found = presented.find(text)
    if found is None or not found.active:
        return INACTIVE
    if isinstance(found, presented.PresentedRefreshToken):
        return _refresh_token(found.row, caller)
    return _access_token(found, caller)


def _access_token(found: presented.PresentedAccessToken, caller: Client) -> dict[str, Any]:
    token = found.row
    askers = [caller.servers[name] for name in token.audience if name in caller.servers]
    if not askers and not _may_know(token.delegation, caller):
        return INACTIVE
    scope = _visible_scope(found, askers)
    # Nothing is left of it: the policy or the resource servers changed since it was issued.
    if not scope:
        return INACTIVE
    if askers:
        Delegation.objects.filter(pk=token.delegation_id).used(timezone.now())
    return _answer(token, scope, token_type="Bearer", jti=token.jti)  # noqa: S106 - a type


def _visible_scope(found: presented.PresentedAccessToken, askers: list[Server]) -> Scope:
    # RFC 7662 section 2.2: a resource server is told of the scopes that concern it
    if not askers:
        return found.scope_at(None)
    return Scope(name for server in askers for name in found.scope_at(server))


def _refresh_token(token: RefreshToken, caller: Client) -> dict[str, Any]:
    # No resource server ever has to judge a refresh token.
    if not _may_know(token.delegation, caller):
        return INACTIVE
    return _answer(token, token.scope)


def _may_know(delegation: Delegation, caller: Client) -> bool:
    own = delegation.delegate_id == caller.application.pk
    return own or caller.policy.may_introspect_all


def _answer(token: AccessToken | RefreshToken, scope: Scope, **more: str) -> dict[str, Any]:
    delegation = token.delegation
    issued_at = int(token.issued_at.timestamp())
    audience: Audience = token.audience
    return {
        "active": True,
        "iss": conf.issuer,
        "sub": delegation.subject,
        "aud": audience.claim(),
        "client_id": delegation.delegate_client_id,
        "scope": str(scope),
        "iat": issued_at,
        "nbf": issued_at,
        "exp": int(token.expires_at.timestamp()),
        "delegation_id": str(delegation.public_id),
        **more,
    }
