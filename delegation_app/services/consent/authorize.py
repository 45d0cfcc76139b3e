"""Asking people, remembering what they said, and opening what they allowed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from delegation_app import clock
from delegation_app.conf import conf
from delegation_app.events import CONSENT_WITHDRAWN
from delegation_app.models import ConsentRecord
from delegation_app.protocol.errors import AccessDenied, InvalidRequest, OAuthError, TooManyAttempts
from delegation_app.protocol.scope import Scope
from delegation_app.services import audit, event_counts
from delegation_app.services.consent import approval, decision, screen
from delegation_app.services.consent.decision import ConsentDecision, Decision
from delegation_app.services.consent.history import ConsentQuestion, find_covering_consent
from delegation_app.services.consent.request import ConsentRequest
from delegation_app.services.delegations import revocation
from delegation_app.services.tokens import authorization_codes
from delegation_app.services.transactions import durable, part


class AwaitsConfirmation(AccessDenied):
    """The person said yes; an operator has to say so too, and nothing is open until then."""


@durable
def allow(
    question: ConsentQuestion,
    ticked: Scope,
    origin: audit.RequestContext,
    *,
    lifetime: timedelta | None,
    shown: Callable[[ConsentRequest], screen.ScreenText | None] = screen.compose,
) -> str | OAuthError:
    """Record what the person allowed, open the delegation, and return a code for it.

    Args:
        question: what was shown.
        ticked: the scopes that the person left ticked.
        origin: the person, and from where.
        lifetime: for how long the person allows it; None for no end.
        shown: returns the page as it was shown; None if it would say something else now.

    Raises:
        InvalidScope: something was ticked that was not shown; nothing is recorded.
        AskAgain: the answer is not complete, or the page has changed; nothing is recorded.
        AccessDenied: nothing was left ticked; that is recorded as a denial.
        AwaitsConfirmation: an operator has to confirm it; that is recorded, nothing is opened.
        InvalidRequest: this question was answered before.

    Side effects: three rows, three audit events; if it waits, one of each.
    """
    asked = question.asked
    text = decision.held_text(asked, shown)
    answer = decision.evaluate(asked, ticked, lifetime)
    if answer is None:
        return _denied(question, origin, text)
    consent = decision.record(asked, Decision.GRANTED, answer, origin, text)
    if answer.pending:
        return awaiting(question)
    return _code(question, consent, answer.granted, origin, just_allowed=True)


@durable
def deny(
    question: ConsentQuestion,
    origin: audit.RequestContext,
    *,
    text: screen.ScreenText | None = None,
) -> AccessDenied:
    """Record that the person said no.

    Args:
        question: what was shown.
        origin: the person, and from where.
        text: the page as it was shown; None if nobody knows that any more.

    Raises:
        AccessDenied: always, after the record is committed.
        InvalidRequest: this question was answered before.

    Side effects: one row, one audit event.
    """
    return _denied(question, origin, text)


@durable
def proceed(question: ConsentQuestion, origin: audit.RequestContext) -> str:
    """Open the delegation without asking, and return a code for it.

    It stands on the consent that covers it; for a trusted client on a record that says so.

    Raises:
        InvalidRequest: the consent was withdrawn meanwhile.
        TooManyAttempts: the client got too many codes for this person in this minute.

    Side effects: two or three rows, as many audit events.
    """
    count(question)
    asked, scope = question.asked, question.request.scope
    if question.client.is_trusted:
        answer = ConsentDecision(scope, question.client.delegation_lifetime)
        consent = decision.record(asked, Decision.TRUSTED, answer, origin)
    else:
        consent = _held(asked)
    return _code(question, consent, scope, origin)


def awaiting(question: ConsentQuestion) -> AwaitsConfirmation:
    """Return what an app is told while an operator has to confirm an answer."""
    error = AwaitsConfirmation("An operator has to confirm this first. Ask again later.")
    # The record of the answer tells it all; asking again adds nothing
    error.recorded = True
    error.redirect = question.request.target
    return error


def denial(question: ConsentQuestion) -> AccessDenied:
    """Return what an app is told after a denial. The record of the answer is its audit event."""
    error = AccessDenied("The person denied the request.")
    error.recorded = True
    error.redirect = question.request.target
    return error


@part
def withdraw(
    consent: ConsentRecord, origin: audit.RequestContext, *, reason: str, leaves_block: bool = True
) -> int:
    """Withdraw a consent and revoke what hangs on it; return how many delegations ended.

    Args:
        consent: the answer.
        origin: who withdraws it.
        reason: a sentence for the record.
        leaves_block: False where all of the pair is blocked already.

    Side effects: one row, one audit event, and those of `revocation.each`; a device that waits for
    an operator is told no.
    """
    standing = ConsentRecord.objects.filter(pk=consent.pk, withdrawn_at=None)
    actor = audit.printable(origin.actor, 300)
    is_first = bool(standing.update(withdrawn_at=clock.now(), withdrawn_by=actor))
    if is_first:
        approval.turn_away(consent)
        audit.record(CONSENT_WITHDRAWN, origin, consent=consent, reason=reason)
    return revocation.of_consent(
        consent, origin, reason=reason, leaves_block=leaves_block and is_first
    )


def _held(asked: ConsentRequest) -> ConsentRecord:
    # What is taken beside this is cut from it, or ends what is opened on it; no row needs a lock
    held = find_covering_consent(asked)
    if held is None:
        raise InvalidRequest("The consent was withdrawn just now.")
    return held


def _denied(
    question: ConsentQuestion, origin: audit.RequestContext, text: screen.ScreenText | None
) -> AccessDenied:
    decision.record(question.asked, Decision.DENIED, ConsentDecision(), origin, text)
    return denial(question)


def _code(
    question: ConsentQuestion,
    consent: ConsentRecord,
    granted: Scope,
    origin: audit.RequestContext,
    *,
    just_allowed: bool = False,
) -> str:
    return authorization_codes.issue(
        decision.open_on(question.asked, consent, granted, origin, just_allowed=just_allowed),
        handle=question.handle,
        redirect_uri=question.request.target.uri,
        code_challenge=question.request.code_challenge,
        origin=origin,
    )


_WINDOW = 60


def count(question: ConsentQuestion) -> None:
    """Count one code more of this minute.

    Raises:
        TooManyAttempts: NON_INTERACTIVE_CODES_PER_MINUTE is reached. It may be redirected to the
            client (RFC 6749 section 4.1.2.1: `temporarily_unavailable`).
    """
    seconds = int(clock.now().timestamp())
    person, client = question.sign_in.subject, question.client.client_id
    group = f"silent code\n{person}\n{client}"
    if event_counts.nth(seconds // _WINDOW, group) > conf.non_interactive_codes_per_minute:
        error = TooManyAttempts(
            "Too many codes for one person. Wait a minute.",
            retry_after=_WINDOW - seconds % _WINDOW,
            detail=f"NON_INTERACTIVE_CODES_PER_MINUTE is {conf.non_interactive_codes_per_minute}",
        )
        raise error.redirected_to(question.request.target)


@dataclass(frozen=True, slots=True)
class FirstAnswer:
    """The answer that stands."""

    record: ConsentRecord

    @property
    def is_denial(self) -> bool:
        """Whether the user denied the request."""
        return self.record.decision == Decision.DENIED

    def repeat(
        self, question: ConsentQuestion, ticked: Scope, lifetime: timedelta | None
    ) -> str | None:
        """Deliver it to a user who gives the same answer again. Reads only.

        Args:
            question: what was shown.
            ticked: the scopes left ticked this time; none for a denial.
            lifetime: the time chosen this time; None for no end.

        Returns:
            The code that was issued. None if it cannot be delivered: it was redeemed, has expired,
            or the user now denies, allows, or allows less than the first time.

        Raises:
            AccessDenied: both answers are denials.
            AwaitsConfirmation: it waits for an operator.
        """
        if self.is_denial:
            if ticked:
                return None
            raise denial(question)
        if self.record.confirmation == ConsentRecord.Confirmation.PENDING:
            raise awaiting(question)
        if not ticked or not self._grants_at_most(ticked | question.held, lifetime):
            return None
        return authorization_codes.still_good(question.handle)

    def _grants_at_most(self, scope: Scope, lifetime: timedelta | None) -> bool:
        if not self.record.scopes_granted <= scope:
            return False
        if lifetime is None:
            return True
        end = self.record.chosen_expiry
        return end is not None and end <= self.record.decided_at + lifetime


def find(question: ConsentQuestion) -> FirstAnswer | None:
    """Return the answer of this user to this question; None if there is none. Reads only."""
    asked = question.asked
    rows = ConsentRecord.objects.filter(request_digest=asked.request_digest)
    record = rows.filter(user=asked.sign_in.user.pk).first()
    return None if record is None else FirstAnswer(record)
