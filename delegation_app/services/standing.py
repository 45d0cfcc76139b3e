"""Tokens for a client that acts for itself, on its one delegation per terms."""

from __future__ import annotations

from delegation_app import clock
from delegation_app.events import CLIENT_READMITTED
from delegation_app.models import Delegation
from delegation_app.protocol import names
from delegation_app.protocol.audience import Audience
from delegation_app.protocol.errors import OAuthError, UnauthorizedClient
from delegation_app.protocol.scope import Scope
from delegation_app.services import audit, limits, tokens
from delegation_app.services.clients import Client
from delegation_app.services.delegate import open_delegation
from delegation_app.services.terms import Terms
from delegation_app.services.transactions import hold, joined, own


@own
def issue(
    client: Client, scope: Scope, audience: Audience, origin: audit.Origin
) -> tokens.Issued | OAuthError:
    """Issue an access token on the client's standing delegation, opened if there is none.

    Raises:
        UnauthorizedClient: an operator stopped this client, or a constraint of its policy
            refuses.

    Side effects: locks the delegation; one row and one audit event, two of each if it is new.
    """
    terms = Terms(client, scope, audience, names.CLIENT_CREDENTIALS, client.policy.constraints)
    delegation = standing_delegation(terms, origin)
    if isinstance(delegation, OAuthError):
        return delegation
    view = tokens.View(delegation, client, scope, audience)
    return tokens.issue(view, origin, tokens.Manner(refusal=UnauthorizedClient))


def standing_delegation(terms: Terms, origin: audit.Origin) -> Delegation | OAuthError:
    """Return the live delegation on `terms`, locked, or open it.

    Requests that run side by side find the same one: who opens holds the terms until the commit.
    Returns an error instead if an operator stopped this client and nobody has readmitted it, or a
    constraint refuses its first token.

    Side effects: locks the delegation's row; maybe one row and one audit event. Call it inside a
    transaction.
    """
    found = _locked(terms)
    if found is not None:
        return found
    hold(f"terms:{terms.digest}")
    found = _locked(terms)
    if found is not None:
        return found
    if is_stopped(terms.client):
        return UnauthorizedClient("An operator has revoked what this client holds.")
    refusal = limits.enforce_new(terms, origin, refusal=UnauthorizedClient)
    return refusal or open_delegation(terms, origin)


def is_stopped(client: Client) -> bool:
    """Tell whether somebody else revoked what a client holds for itself, and nobody readmitted it.

    Reads only.
    """
    stopped = Delegation.objects.filter(
        principal_client=client.application,
        grant_type=names.CLIENT_CREDENTIALS,
        revoked_at__isnull=False,
    ).exclude(revoked_by=client.subject)
    if client.policy.readmitted_at is not None:
        stopped = stopped.filter(revoked_at__gt=client.policy.readmitted_at)
    return stopped.exists()


def readmit(client: Client, origin: audit.Origin) -> None:
    """Let a client whose standing delegations were revoked open new ones.

    Side effects: one audit event, and the policy's row, which is made if it was derived so far.
    """
    with joined():
        policy = client.policy
        is_new = policy._state.adding  # noqa: SLF001 - Django's documented way to ask
        policy.readmitted_at = clock.now()
        policy.save()
        if is_new:
            policy.audiences.set([server.pk for server in client.servers.values()])
        audit.record(CLIENT_READMITTED, origin, client_id=client.client_id)


def _locked(terms: Terms) -> Delegation | None:
    rows = Delegation.objects.live().filter(terms_digest=terms.digest)
    # A root locks itself. Its row is read again after the wait, so a revoked one is not returned.
    return rows.select_for_update(of=("self",)).order_by("pk").first()
