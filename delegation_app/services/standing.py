"""Tokens for a client that acts for itself, on its one delegation per terms."""

from __future__ import annotations

from delegation_app.protocol import names
from delegation_app.protocol.audience import Audience
from delegation_app.protocol.errors import OAuthError
from delegation_app.protocol.scope import Scope
from delegation_app.services import delegate, tokens
from delegation_app.services.audit import Origin
from delegation_app.services.clients import Client
from delegation_app.services.transactions import own


@own
def issue(
    client: Client, scope: Scope, audience: Audience, origin: Origin
) -> tokens.Issued | OAuthError:
    """Issue an access token on the client's standing delegation, opened if there is none.

    Raises:
        UnauthorizedClient: an operator stopped this client.

    Side effects: locks the delegation; one row and one audit event, two of each if it is new.
    """
    terms = delegate.Terms(client, scope, audience, names.CLIENT_CREDENTIALS)
    delegation = delegate.standing_delegation(terms, origin)
    if isinstance(delegation, OAuthError):
        return delegation
    return tokens.issue(tokens.View(delegation, client, scope, audience), origin)
