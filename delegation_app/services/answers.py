"""What a person was asked and answered, recorded the same way wherever the question came from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from django.db import IntegrityError
from django.utils import timezone
from django.utils.translation import get_language

from delegation_app.events import CONSENT_DENIED, CONSENT_GRANTED, CONSENT_SKIPPED, Event
from delegation_app.models import ConsentRecord, Delegation
from delegation_app.protocol.audience import Audience
from delegation_app.protocol.constraints import Constraints
from delegation_app.protocol.errors import InvalidRequest
from delegation_app.protocol.scope import Scope
from delegation_app.services import audit, delegate
from delegation_app.services.clients import Client
from delegation_app.services.terms import SignIn, Terms
from delegation_app.services.transactions import joined

TEXT_VERSION: Final = "1"

Decision = ConsentRecord.Decision
_EVENTS: Final[dict[str, Event]] = {
    Decision.GRANTED: CONSENT_GRANTED,
    Decision.DENIED: CONSENT_DENIED,
    Decision.TRUSTED: CONSENT_SKIPPED,
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What a person is asked.

    Attributes:
        client: who asks.
        sign_in: the person.
        scope, audience, constraints: what for, where, within which limits.
        grant_type: the grant that asks.
        leads_to: where the page says that the answer leads.
        request_digest: names the question; each is answered once.
    """

    client: Client
    sign_in: SignIn
    scope: Scope
    audience: Audience
    constraints: Constraints
    grant_type: str
    leads_to: str
    request_digest: str


def record(
    asked: Asked,
    decision: Decision,
    granted: Scope,
    origin: audit.Origin,
    lifetime: timedelta | None = None,
) -> ConsentRecord:
    """Store an answer.

    Args:
        asked: what was shown.
        decision: how it ended.
        granted: the scopes that were left ticked.
        origin: the person, and from where.
        lifetime: for how long the person allows it; None for no end.

    Raises:
        InvalidRequest: this question was answered before.

    Side effects: one row, one audit event. Call it inside a transaction.
    """
    consent = _row(asked, decision, granted, origin, lifetime)
    _insert_once(consent)
    details = {"granted": str(granted), "refused": str(consent.scopes_refused)}
    audit.record(_EVENTS[decision], origin, consent=consent, details=details)
    return consent


def open_on(
    asked: Asked, consent: ConsentRecord, granted: Scope, origin: audit.Origin
) -> Delegation:
    """Open the delegation that an answer allows.

    Side effects: those of `delegate.open_delegation`. Call it inside a transaction.
    """
    terms = Terms(
        client=asked.client,
        scope=granted,
        audience=asked.audience,
        grant_type=asked.grant_type,
        constraints=asked.constraints,
        sign_in=asked.sign_in,
        consent=consent,
        # What the person chose bounds all that is opened on it later, too.
        expires_at=consent.chosen_expiry,
    )
    return delegate.open_delegation(terms, origin)


def _row(
    asked: Asked,
    decision: Decision,
    granted: Scope,
    origin: audit.Origin,
    lifetime: timedelta | None,
) -> ConsentRecord:
    now = timezone.now()
    return ConsentRecord(
        request_digest=asked.request_digest,
        user_id=asked.sign_in.user.pk,
        subject=asked.sign_in.subject,
        client=asked.client.application,
        client_id_value=asked.client.client_id,
        client_name=str(asked.client.application),
        redirect_host=asked.leads_to,
        scopes_asked=asked.scope,
        scopes_granted=granted,
        scopes_refused=asked.scope - granted,
        audience=asked.audience,
        constraints=asked.constraints,
        text_version="" if decision == Decision.TRUSTED else TEXT_VERSION,
        locale=get_language() or "",
        chosen_expiry=None if lifetime is None else now + lifetime,
        decision=decision,
        decided_at=now,
        ip_address=origin.ip,
        user_agent=audit.printable(origin.user_agent, 255),
    )


def _insert_once(consent: ConsentRecord) -> None:
    try:
        with joined():
            consent.save(force_insert=True)
    except IntegrityError as error:
        raise InvalidRequest("This question was answered already.") from error
