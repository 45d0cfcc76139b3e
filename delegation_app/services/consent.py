"""Asking people, remembering what they said, and opening what they allowed."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from django.db import IntegrityError
from django.utils import timezone
from django.utils.translation import get_language

from delegation_app.events import (
    CONSENT_DENIED,
    CONSENT_GRANTED,
    CONSENT_SKIPPED,
    CONSENT_WITHDRAWN,
    Event,
)
from delegation_app.models import ConsentRecord
from delegation_app.protocol import names
from delegation_app.protocol.errors import AccessDenied, InvalidRequest, InvalidScope, OAuthError
from delegation_app.protocol.scope import Scope
from delegation_app.protocol.secrets import digest
from delegation_app.services import audit, codes, delegate, revoke
from delegation_app.services.question import Question, covering, redirect_host
from delegation_app.services.terms import Terms
from delegation_app.services.transactions import joined, own

TEXT_VERSION: Final = "1"

_Decision = ConsentRecord.Decision
_EVENTS: Final[dict[str, Event]] = {
    _Decision.GRANTED: CONSENT_GRANTED,
    _Decision.DENIED: CONSENT_DENIED,
    _Decision.TRUSTED: CONSENT_SKIPPED,
}


@own
def allow(
    question: Question, granted: Scope, origin: audit.Origin, *, lifetime: timedelta | None
) -> str | OAuthError:
    """Record what the person allowed, open the delegation, and return a code for it.

    Args:
        question: what was shown.
        granted: the scopes that the person left ticked.
        origin: the person, and from where.
        lifetime: for how long the person allows it; None for no end.

    Raises:
        InvalidScope: something was ticked that was not shown; nothing is recorded.
        AccessDenied: nothing was left ticked; that is recorded as a denial.
        InvalidRequest: this question was answered before.

    Side effects: three rows, three audit events.
    """
    if not granted <= question.request.scope:
        raise InvalidScope("The answer has scopes that were not asked for.")
    if not granted:
        return _denied(question, origin)
    consent = _record(question, _Decision.GRANTED, granted, origin, lifetime)
    return _code(question, consent, granted, origin)


@own
def deny(question: Question, origin: audit.Origin) -> AccessDenied:
    """Record that the person said no.

    Raises:
        AccessDenied: always, after the record is committed.
        InvalidRequest: this question was answered before.

    Side effects: one row, one audit event.
    """
    return _denied(question, origin)


@own
def proceed(question: Question, origin: audit.Origin) -> str:
    """Open the delegation without asking, and return a code for it.

    It stands on the consent that covers it; for a trusted client on a record that says so.

    Side effects: two or three rows, as many audit events.
    """
    consent = None if question.client.is_trusted else covering(question)
    if consent is None:
        if not question.client.is_trusted:
            raise InvalidRequest("The consent was withdrawn just now.")
        longest = question.client.delegation_lifetime
        consent = _record(question, _Decision.TRUSTED, question.request.scope, origin, longest)
    return _code(question, consent, question.request.scope, origin)


def withdraw(consent: ConsentRecord, origin: audit.Origin, *, reason: str) -> int:
    """Withdraw a consent and revoke what hangs on it; return how many delegations ended.

    Side effects: one row, one audit event, and those of `revoke.each`.
    """
    with joined():
        standing = ConsentRecord.objects.filter(pk=consent.pk, withdrawn_at=None)
        actor = audit.printable(origin.actor, 300)
        if standing.update(withdrawn_at=timezone.now(), withdrawn_by=actor):
            audit.record(CONSENT_WITHDRAWN, origin, consent=consent, reason=reason)
        return revoke.of_consent(consent, origin, reason=reason)


def _denied(question: Question, origin: audit.Origin) -> AccessDenied:
    _record(question, _Decision.DENIED, Scope(), origin)
    error = AccessDenied("The person denied the request.")
    error.recorded = True
    error.redirect = question.request.target
    return error


def _record(
    question: Question,
    decision: str,
    granted: Scope,
    origin: audit.Origin,
    lifetime: timedelta | None = None,
) -> ConsentRecord:
    client, request, now = question.client, question.request, timezone.now()
    consent = ConsentRecord(
        request_digest=digest(question.handle),
        user_id=question.sign_in.user.pk,
        subject=question.sign_in.subject,
        client=client.application,
        client_id_value=request.client_id,
        client_name=str(client.application),
        redirect_host=redirect_host(request),
        scopes_asked=request.scope,
        scopes_granted=granted,
        scopes_refused=request.scope - granted,
        audience=request.audience,
        constraints=request.constraints,
        text_version="" if decision == _Decision.TRUSTED else TEXT_VERSION,
        locale=get_language() or "",
        chosen_expiry=None if lifetime is None else now + lifetime,
        decision=decision,
        decided_at=now,
        ip_address=origin.ip,
        user_agent=audit.printable(origin.user_agent, 255),
    )
    _insert_once(consent)
    details = {"granted": str(granted), "refused": str(consent.scopes_refused)}
    audit.record(_EVENTS[decision], origin, consent=consent, details=details)
    return consent


def _insert_once(consent: ConsentRecord) -> None:
    try:
        with joined():
            consent.save(force_insert=True)
    except IntegrityError as error:
        raise InvalidRequest("This question was answered already.") from error


def _code(question: Question, consent: ConsentRecord, granted: Scope, origin: audit.Origin) -> str:
    terms = Terms(
        client=question.client,
        scope=granted,
        audience=question.request.audience,
        grant_type=names.AUTHORIZATION_CODE,
        constraints=question.request.constraints,
        sign_in=question.sign_in,
        consent=consent,
        # What the person chose bounds all that is opened on it later, too.
        expires_at=consent.chosen_expiry,
    )
    delegation = delegate.open_delegation(terms, origin)
    return codes.issue(
        delegation,
        redirect_uri=question.request.target.uri,
        code_challenge=question.request.code_challenge,
        origin=origin,
    )
