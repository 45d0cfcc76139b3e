"""Tokens on a delegation, issued by the services without an endpoint."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from delegation_app.models import AccessToken, Delegation, ResourceServer
from delegation_app.protocol import names
from delegation_app.protocol.audience import Audience
from delegation_app.protocol.secrets import new_secret
from delegation_app.services import audit, signing_keys, transactions
from delegation_app.services.clients import lookup
from delegation_app.services.clients.registered_client import RegisteredClient
from delegation_app.services.tokens import issuing
from delegation_app.services.transactions import nested
from delegation_app.testing.claims import scope_of

Where = str | ResourceServer | Iterable[str | ResourceServer]

ORIGIN: Final = audit.RequestContext(ip="127.0.0.1", user_agent="delegation_app.testing")


def token_for(
    delegation: Delegation,
    *,
    scope: str | Iterable[str] | None = None,
    audience: Where | None = None,
) -> str:
    """Issue an access token on a delegation and return its text.

    Args:
        delegation: a live delegation.
        scope: names separated by spaces, or an iterable of names; None for everything that the
            audience knows.
        audience: resource servers or their identifiers; None for all of the delegation.

    Returns:
        A signed JWT, or an opaque token where a resource server of the audience wants one.

    Raises:
        ValueError: the delegation is not live.
        InvalidScope: the scope is empty, or exceeds that of the delegation.
        InvalidTarget: the audience exceeds that of the delegation.
        InvalidGrant: a constraint refuses.

    Side effects: one token row, one audit event, the counters of limited delegations; the first
        signing keys, if there are none.
    """
    return access_token(delegation, scope=scope, audience=audience)[1]


def access_token(
    delegation: Delegation,
    *,
    scope: str | Iterable[str] | None = None,
    audience: Where | None = None,
    expires_at: datetime | None = None,
) -> tuple[AccessToken, str]:
    """Issue an access token on a delegation and return its row and its text; see `token_for`.

    Args:
        delegation, scope, audience: see `token_for`.
        expires_at: its latest expiry.
    """
    with nested():
        view = view_of(delegation, scope=scope, audience=audience)
        options = issuing.IssueOptions(not_after=expires_at)
        issued = issuing.issue(view, ORIGIN.acting_as(view.client.subject), options)
    text: str = issued.answer(signing_keys.signer())["access_token"]
    return issued.access, text


def refresh_token(
    delegation: Delegation,
    *,
    scope: str | Iterable[str] | None = None,
    audience: Where | None = None,
) -> issuing.NewRefreshToken:
    """Store a refresh token on a delegation and return its row and its text.

    Args:
        delegation, scope, audience: see `token_for`.

    Raises:
        ValueError: the delegation is not live, or its client gets no refresh token on it.
        InvalidScope, InvalidTarget: see `token_for`.

    Side effects: one row.
    """
    with nested():
        view = view_of(delegation, scope=scope, audience=audience)
        if not _is_renewable(view):
            raise ValueError("The client gets no refresh token on this delegation.")
        return issuing.issue_refresh_token(view, new_secret())


def view_of(
    delegation: Delegation,
    *,
    scope: str | Iterable[str] | None = None,
    audience: Where | None = None,
) -> issuing.TokenParameters:
    """Return what a token shows of a delegation, with the delegation locked and read again.

    Args:
        delegation, scope, audience: see `token_for`.

    Raises:
        ValueError, InvalidScope, InvalidTarget: see `token_for`.

    Side effects: locks the root. Call it inside a transaction.
    """
    transactions.lock_root(delegation)
    current = Delegation.objects.live().filter(pk=delegation.pk).first()
    if current is None:
        raise ValueError("The delegation is not live: revoked, expired or suspended.")
    client = client_of(current.delegate_client_id)
    reach = client.narrowed_audience(identifiers(audience), current.audience)
    wanted = None if scope is None else str(scope_of(scope))
    return issuing.TokenParameters(
        current, client, client.narrowed_scope(wanted, current.scopes, reach), reach
    )


def _is_renewable(view: issuing.TokenParameters) -> bool:
    grant_type, client = view.delegation.grant_type, view.client
    # RFC 6749 section 4.4.3: none for client credentials
    if grant_type == names.CLIENT_CREDENTIALS or not client.may_use(names.REFRESH_TOKEN):
        return False
    # RFC 8693 section 2.2.1: for an exchange only where the policy says so
    return grant_type != names.TOKEN_EXCHANGE or client.policy.may_refresh_exchanged_tokens


def client_of(client_id: str) -> RegisteredClient:
    """Return the registered client with its stored policy.

    Raises:
        ValueError: there is no such client.
    """
    client = lookup.find(client_id)
    if client is None:
        raise ValueError(f"There is no client {client_id!r}.")
    return client


def identifiers(audience: Where | None) -> Audience:
    """Return resource servers or their identifiers as an audience; empty for None.

    Raises:
        InvalidTarget: an identifier is not an absolute URI.
    """
    if audience is None:
        return Audience()
    several = [audience] if isinstance(audience, str | ResourceServer) else audience
    return Audience.parse(one if isinstance(one, str) else one.identifier for one in several)
