"""Tokens for a client that acts for itself, on its one delegation per terms."""

from __future__ import annotations

from delegation_app.models import Delegation
from delegation_app.protocol import names
from delegation_app.protocol.audience import Audience
from delegation_app.protocol.errors import OAuthError, UnauthorizedClient
from delegation_app.protocol.scope import Scope
from delegation_app.services import audit
from delegation_app.services.clients.lookup import RegisteredClient
from delegation_app.services.delegations import blocks, creation, enforcement, reuse
from delegation_app.services.delegations.terms import Terms
from delegation_app.services.tokens import issuing
from delegation_app.services.transactions import Contended, durable


@durable
def issue(
    client: RegisteredClient, scope: Scope, audience: Audience, origin: audit.RequestContext
) -> issuing.Issued | OAuthError:
    """Issue an access token on the client's standing delegation, opened if there is none.

    Raises:
        UnauthorizedClient: an operator took it from this client, or a constraint of its policy
            refuses.
        InvalidScope: nothing of the scope is left in the delegation.

    Side effects: locks the delegation; one row and one audit event, two of each if it is new.
    """
    terms = Terms(client, scope, audience, names.CLIENT_CREDENTIALS, client.policy.constraints)
    delegation = own_delegation(terms, origin)
    if isinstance(delegation, OAuthError):
        return delegation
    view = issuing.TokenGrant(delegation, client, scope, audience)
    return issuing.issue(view, origin, issuing.IssueOptions(refusal=UnauthorizedClient))


def own_delegation(terms: Terms, origin: audit.RequestContext) -> Delegation | OAuthError:
    """Return the live delegation on `terms`, locked, or open it.

    Requests that run side by side find the same one: who opens holds the terms until the commit.
    Returns an error instead if an operator took it from this client, or a constraint refuses its
    first token.

    Side effects: locks the delegation's row; maybe one row and one audit event. Call it inside a
    transaction.
    """
    rows = reuse.with_blocks(Delegation.objects.live().filter(terms_digest=terms.digest))
    # A root locks itself. Its row is read again after the wait, so a revoked one is not returned.
    row = rows.select_for_update(of=("self",)).order_by("pk").first()
    if row is not None and (found := reuse.settle(row, origin)) is not None:
        return found
    blocks.hold_pair(terms.subject, terms.client.client_id, f"terms:{terms.digest}")
    # Another request has opened it meanwhile. Whoever takes that one holds its row and waits for
    # the pair, so this waits for the row without the pair.
    if row is None and rows.exists():
        raise Contended
    left = creation.cut(terms)
    if left is None:
        return UnauthorizedClient(
            "An operator has taken this from the client, and has to lift the block first."
        )
    refusal = enforcement.enforce_new(left, origin, refusal=UnauthorizedClient)
    return refusal or creation.insert(left, origin)
