"""Opening delegations. The one place where what a delegation may hold is checked."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.utils import timezone

from delegation_app.events import CLIENT_READMITTED, DELEGATION_OPENED
from delegation_app.models import ConsentRecord, Delegation
from delegation_app.protocol import names
from delegation_app.protocol.audience import Audience
from delegation_app.protocol.claims import user_subject
from delegation_app.protocol.errors import UnauthorizedClient
from delegation_app.protocol.scope import Scope
from delegation_app.protocol.secrets import digest
from delegation_app.services import audit
from delegation_app.services.clients import Client
from delegation_app.services.transactions import database, hold, joined
from delegation_app.signals import delegation_opened

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser


@dataclass(frozen=True, slots=True)
class SignIn:
    """How and when a person signed in."""

    user: AbstractBaseUser
    auth_time: datetime
    acr: str

    @property
    def subject(self) -> str:
        """The person as a principal or an actor."""
        return user_subject(self.user.pk)


@dataclass(frozen=True, slots=True)
class Terms:
    """What a delegation says: same terms, same record, where records are reused."""

    client: Client
    scope: Scope
    audience: Audience
    grant_type: str
    sign_in: SignIn | None = None
    consent: ConsentRecord | None = None
    expires_at: datetime | None = None

    @property
    def subject(self) -> str:
        """The principal: a user, or the client acting for itself."""
        return self.client.subject if self.sign_in is None else self.sign_in.subject

    @property
    def digest(self) -> str:
        """A digest of all that makes two delegations the same."""
        terms = [
            None,
            self.subject,
            self.client.client_id,
            self.grant_type,
            list(self.scope),
            list(self.audience),
            [],
        ]
        return digest(json.dumps(terms, ensure_ascii=True, separators=(",", ":")))


def open_delegation(terms: Terms, origin: audit.Origin) -> Delegation:
    """Insert a root delegation on `terms`.

    Side effects: one row, one audit event; the signal `delegation_opened` after the commit.
    Call it inside a transaction.
    """
    delegation = Delegation.objects.create(
        **_principal(terms),
        subject=terms.subject,
        delegate=terms.client.application,
        delegate_client_id=terms.client.client_id,
        scopes=terms.scope,
        audience=terms.audience,
        grant_type=terms.grant_type,
        consent=terms.consent,
        terms_digest=terms.digest,
        issued_at=timezone.now(),
        expires_at=terms.expires_at,
    )
    audit.record(
        DELEGATION_OPENED,
        origin,
        delegation=delegation,
        details={"scope": str(terms.scope), "audience": list(terms.audience)},
    )
    public_id = delegation.public_id
    transaction.on_commit(
        lambda: delegation_opened.send_robust(sender=Delegation, delegation_id=public_id),
        using=database(),
    )
    return delegation


def standing_delegation(terms: Terms, origin: audit.Origin) -> Delegation | UnauthorizedClient:
    """Return the live delegation on `terms`, locked, or open it.

    Requests that run side by side find the same one: who opens holds the terms until the commit.
    Returns an error instead if an operator stopped this client and nobody has readmitted it.

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
    return open_delegation(terms, origin)


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
        policy.readmitted_at = timezone.now()
        policy.save()
        if is_new:
            policy.audiences.set([server.pk for server in client.servers.values()])
        audit.record(CLIENT_READMITTED, origin, client_id=client.client_id)


def _principal(terms: Terms) -> dict[str, Any]:
    if terms.sign_in is None:
        return {"principal_client": terms.client.application}
    return {
        "principal_user_id": terms.sign_in.user.pk,
        "auth_time": terms.sign_in.auth_time,
        "acr": terms.sign_in.acr,
    }


def _locked(terms: Terms) -> Delegation | None:
    rows = Delegation.objects.live().filter(terms_digest=terms.digest)
    # A root locks itself. Its row is read again after the wait, so a revoked one is not returned.
    return rows.select_for_update(of=("self",)).order_by("pk").first()
