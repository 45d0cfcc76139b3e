"""Asking people, remembering what they said, and opening what they allowed."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from delegation_app.events import CONSENT_WITHDRAWN
from delegation_app.models import ConsentRecord
from delegation_app.protocol.errors import AccessDenied, InvalidRequest, InvalidScope, OAuthError
from delegation_app.protocol.scope import Scope
from delegation_app.services import answers, audit, codes, revoke
from delegation_app.services.answers import Decision
from delegation_app.services.question import Question, covering
from delegation_app.services.transactions import joined, own


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
    consent = answers.record(question.asked, Decision.GRANTED, granted, origin, lifetime)
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

    Raises:
        InvalidRequest: the consent was withdrawn meanwhile.

    Side effects: locks the consent; two or three rows, as many audit events.
    """
    scope = question.request.scope
    if question.client.is_trusted:
        longest = question.client.delegation_lifetime
        consent = answers.record(question.asked, Decision.TRUSTED, scope, origin, longest)
    else:
        consent = _held(covering(question))
    return _code(question, consent, scope, origin)


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


def _held(consent: ConsentRecord | None) -> ConsentRecord:
    # Whoever withdraws it now waits, and then finds what is opened on it
    rows = ConsentRecord.objects.standing(timezone.now()).select_for_update()
    held = None if consent is None else rows.filter(pk=consent.pk).first()
    if held is None:
        raise InvalidRequest("The consent was withdrawn just now.")
    return held


def _denied(question: Question, origin: audit.Origin) -> AccessDenied:
    answers.record(question.asked, Decision.DENIED, Scope(), origin)
    error = AccessDenied("The person denied the request.")
    error.recorded = True
    error.redirect = question.request.target
    return error


def _code(question: Question, consent: ConsentRecord, granted: Scope, origin: audit.Origin) -> str:
    return codes.issue(
        answers.open_on(question.asked, consent, granted, origin),
        redirect_uri=question.request.target.uri,
        code_challenge=question.request.code_challenge,
        origin=origin,
    )
