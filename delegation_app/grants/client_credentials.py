"""The client credentials grant (RFC 6749 section 4.4): a client acts for itself."""

from __future__ import annotations

from delegation_app.grants.base import TokenRequest
from delegation_app.models import Delegation
from delegation_app.protocol import names
from delegation_app.protocol.errors import OAuthError, UnauthorizedClient
from delegation_app.services import audit
from delegation_app.services.delegations import blocks, creation, enforcement, reuse
from delegation_app.services.delegations.terms import Terms
from delegation_app.services.tokens import issuing
from delegation_app.services.tokens.issuing import Issued, IssueOptions, TokenParameters
from delegation_app.services.transactions import Contended, durable

TYPE = names.CLIENT_CREDENTIALS
PARAMETERS = frozenset({"scope", "resource"})


def handle(request: TokenRequest) -> Issued:
    """Issue on the client's delegation with these terms, created if there is none.

    There is no refresh token (section 4.4.3).

    Raises:
        UnauthorizedClient: a public client, an operator's block, or a constraint of the client's
            policy refuses.
        InvalidScope, InvalidTarget: see `RegisteredClient.scope` and `RegisteredClient.audience`;
            or nothing of the scope is left in the delegation.

    Side effects: locks the delegation; one row and one audit event, two of each if it is new.
    """
    client, parameters = request.client, request.parameters
    # RFC 6749 section 4.4: only confidential clients
    if not client.is_confidential:
        raise UnauthorizedClient("Public clients may not use this grant.")
    audience = client.audience(parameters.all("resource"))
    scope = client.scope(parameters.get("scope"), audience)
    return _issue(Terms(client, scope, audience, TYPE, client.policy.constraints), request.origin)


@durable
def _issue(terms: Terms, context: audit.RequestContext) -> Issued | OAuthError:
    delegation = _own_delegation(terms, context)
    if isinstance(delegation, OAuthError):
        return delegation
    token = TokenParameters(delegation, terms.client, terms.scope, terms.audience)
    return issuing.issue(token, context, IssueOptions(refusal=UnauthorizedClient))


def _own_delegation(terms: Terms, context: audit.RequestContext) -> Delegation | OAuthError:
    # Concurrent requests find the same delegation: the one that creates it locks its terms until
    # the commit
    rows = reuse.with_blocks(Delegation.objects.live().filter(terms_digest=terms.digest))
    # A root locks itself. Its row is read again after the wait, so a revoked one is not returned
    row = rows.select_for_update(of=("self",)).order_by("pk").first()
    if row is not None and (found := reuse.apply_blocks(row, context)) is not None:
        return found
    blocks.hold_pair(terms.subject, terms.client.client_id, f"terms:{terms.digest}")
    # Another request has created it meanwhile. A request that reuses it holds its row and waits for
    # the pair, so this one waits for the row without the pair.
    if row is None and rows.exists():
        raise Contended
    left = creation.cut(terms)
    if left is None:
        return UnauthorizedClient(
            "An operator has taken this from the client, and has to lift the block first."
        )
    refusal = enforcement.enforce_new(left, context, refusal=UnauthorizedClient)
    return refusal or creation.insert(left, context)
