"""What a person was asked and answered, recorded the same way wherever the question came from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from django.db import IntegrityError
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from delegation_app import clock, toolkit
from delegation_app.events import CONSENT_DENIED, CONSENT_GRANTED, CONSENT_SKIPPED, Event
from delegation_app.models import ConsentRecord, Delegation
from delegation_app.protocol.errors import InvalidRequest, InvalidScope
from delegation_app.protocol.scope import Scope
from delegation_app.protocol.secrets import masked
from delegation_app.services import audit
from delegation_app.services.consent import history, risk, scope_groups, screen
from delegation_app.services.consent.fragments import sanitize
from delegation_app.services.consent.request import ConsentRequest
from delegation_app.services.delegations import blocks, creation
from delegation_app.services.delegations.terms import Terms
from delegation_app.services.transactions import nested

Decision = ConsentRecord.Decision
_PENDING: Final = ConsentRecord.Confirmation.PENDING
_EVENTS: Final[dict[str, Event]] = {
    Decision.GRANTED: CONSENT_GRANTED,
    Decision.DENIED: CONSENT_DENIED,
    Decision.TRUSTED: CONSENT_SKIPPED,
}


@dataclass(frozen=True, slots=True)
class ConsentDecision:
    """What a person says.

    Attributes:
        granted: the scopes that the app may have, those that it had before too.
        lifetime: for how long; None for no end.
        pending: whether an operator has to confirm it.
        until: when what an operator has confirmed before ends; None for no such bound.
    """

    granted: Scope = Scope()
    lifetime: timedelta | None = None
    pending: bool = False
    until: datetime | None = None


class AskAgain(InvalidRequest):
    """The answer can't be taken as it is: the page is shown again. Nothing is recorded.

    Args:
        sentence: why, for the person, in their language.
    """

    def __init__(self, sentence: str, *, detail: str) -> None:
        super().__init__("The answer is not complete.", detail=detail)
        self.sentence = sentence


def held_text(
    asked: ConsentRequest, shown: Callable[[ConsentRequest], screen.ScreenText | None]
) -> screen.ScreenText:
    """Return the text of a page that is answered, with the pair held until the commit.

    What is taken from the pair beside this comes first, and then the page would say that it comes
    back; or it comes later than the answer.

    Args:
        asked: the question.
        shown: returns the page as it was shown; None if it would say something else now.

    Raises:
        AskAgain: nobody has agreed to words that were never shown.

    Side effects: waits for whoever takes something from the pair. Call it inside a transaction.
    """
    blocks.hold_pair(asked.sign_in.subject, asked.client.client_id)
    text = shown(asked)
    if text is None:
        sentence = _("What this page says has changed just now. Read it again before you answer.")
        raise AskAgain(sentence, detail="the text has changed")
    return text


def evaluate(
    asked: ConsentRequest, ticked: Scope, lifetime: timedelta | None
) -> ConsentDecision | None:
    """Return what an answer means; None if nothing was left ticked, which is a denial. Reads only.

    Args:
        asked: the question.
        ticked: the scopes that the person left ticked.
        lifetime: for how long the person allows it; None for no end.

    Raises:
        InvalidScope: something was ticked that was not shown.
        AskAgain: something is not ticked that the app needs; or nothing is, and what was offered
            has to be ticked by hand.
    """
    if not ticked <= asked.scope:
        raise InvalidScope("The answer has scopes that were not asked for.")
    ticked &= asked.offered
    if missing := asked.required - asked.held - ticked:
        raise AskAgain(_it_needs(asked, missing), detail=f"needed: {missing}")
    if not ticked:
        if risk.risky(asked.offered):
            raise AskAgain(_("Tick what you allow, or press Deny."), detail="nothing ticked")
        return None
    return _weighed(asked, ticked, lifetime)


def record(
    asked: ConsentRequest,
    decision: Decision,
    answer: ConsentDecision,
    origin: audit.RequestContext,
    text: screen.ScreenText | None = None,
) -> ConsentRecord:
    """Store an answer.

    Args:
        asked: what was asked.
        decision: how it ended.
        answer: what the person said.
        origin: the person, and from where.
        text: the page word for word; None if none was shown.

    Raises:
        InvalidRequest: this question was answered before.

    Side effects: one row, one audit event. Call it inside a transaction.
    """
    consent = _row(asked, decision, answer, origin, text)
    _insert_once(consent)
    details = {"granted": str(answer.granted), "refused": str(consent.scopes_refused)}
    if answer.pending:
        details["confirmation"] = consent.confirmation
    audit.record(_EVENTS[decision], origin, consent=consent, details=details)
    return consent


def open_on(
    asked: ConsentRequest,
    consent: ConsentRecord,
    granted: Scope,
    origin: audit.RequestContext,
    *,
    just_allowed: bool = False,
) -> Delegation:
    """Open the delegation that an answer allows.

    Args:
        asked: the question.
        consent: the record that the delegation stands on.
        granted: its scopes.
        origin: the person, and from where.
        just_allowed: whether the answer was given in this very transaction.

    Side effects: those of `creation.create`. Call it inside a transaction.
    """
    is_answer = consent.decision == Decision.GRANTED
    # A record that nobody was asked stands on the page that was answered before, if one was
    page = consent if is_answer else history.find_covering_consent(replace(asked, scope=granted))
    allowed_at = None if page is None else page.decided_at
    terms = Terms(
        client=asked.client,
        scope=granted,
        audience=asked.audience,
        grant_type=asked.grant_type,
        constraints=asked.constraints,
        sign_in=asked.sign_in,
        consent=consent,
        # What the person chose bounds all that is opened on it later, too.
        expires_at=history.ends_at(consent, asked.client),
        allowed_at=allowed_at,
    )
    return creation.create(terms, origin, just_allowed=just_allowed)


def _it_needs(asked: ConsentRequest, missing: Scope) -> str:
    known = toolkit.all_scopes()
    names = ", ".join(sanitize(known.get(name, name)) for name in missing)
    sentence = _("%(app)s cannot work without: %(scopes)s. Tick it too, or press Deny.")
    return sentence % {"app": screen.app_name(asked), "scopes": names}


def _weighed(asked: ConsentRequest, ticked: Scope, lifetime: timedelta | None) -> ConsentDecision:
    risky = ticked & scope_groups.to_be_confirmed(asked)
    return ConsentDecision(
        granted=ticked | asked.held,
        lifetime=lifetime,
        pending=bool(risky) and history.confirmed(asked, risky) is None,
        # Nobody makes what is risky last longer by an answer that no operator has seen
        until=scope_groups.bound(asked, risky),
    )


def _row(
    asked: ConsentRequest,
    decision: Decision,
    answer: ConsentDecision,
    origin: audit.RequestContext,
    text: screen.ScreenText | None,
) -> ConsentRecord:
    now = clock.now()
    denied = decision == Decision.DENIED
    return ConsentRecord(
        request_digest=asked.request_digest,
        user_id=asked.sign_in.user.pk,
        subject=asked.sign_in.subject,
        client=asked.client.application,
        client_id_value=asked.client.client_id,
        client_name=str(asked.client.application),
        redirect_host=asked.leads_to,
        scopes_asked=asked.scope,
        scopes_granted=answer.granted,
        # A denial takes nothing of what was granted before
        scopes_refused=asked.offered if denied else asked.scope - answer.granted,
        audience=asked.audience,
        constraints=asked.constraints,
        text_version="" if text is None else screen.VERSION,
        locale=get_language() or "" if text is None else text.locale,
        shown={} if text is None else text.content,
        chosen_expiry=_end(answer, now),
        auth_time=asked.sign_in.auth_time,
        acr=asked.sign_in.acr,
        confirmation=_PENDING if answer.pending else "",
        decision=decision,
        decided_at=now,
        ip_address=origin.ip,
        user_agent=audit.printable(masked(origin.user_agent), 255),
    )


def _end(answer: ConsentDecision, now: datetime) -> datetime | None:
    chosen = None if answer.lifetime is None else now + answer.lifetime
    return min((end for end in (chosen, answer.until) if end is not None), default=None)


def _insert_once(consent: ConsentRecord) -> None:
    try:
        with nested():
            consent.save(force_insert=True)
    except IntegrityError as error:
        answered = InvalidRequest("This question was answered already.")
        answered.may_be_done = True
        raise answered from error
