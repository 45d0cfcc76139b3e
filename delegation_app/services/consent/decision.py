"""A user's answer to a consent request: recorded the same way for a browser and a device."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import IntegrityError
from django.db.models import QuerySet
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from delegation_app import clock, toolkit
from delegation_app.events import CONSENT_DENIED, CONSENT_GRANTED, CONSENT_SKIPPED, Event
from delegation_app.models import ConsentRecord, Delegation, DeviceCode
from delegation_app.protocol.errors import AccessDenied, InvalidRequest, InvalidScope
from delegation_app.protocol.scope import Scope
from delegation_app.protocol.secrets import masked
from delegation_app.services import audit
from delegation_app.services.consent import history, risk, screen
from delegation_app.services.consent.fragments import sanitize
from delegation_app.services.consent.request import ConsentRequest
from delegation_app.services.consent.screen import Screen
from delegation_app.services.delegations import blocks, creation
from delegation_app.services.delegations.terms import Terms
from delegation_app.services.tokens import authorization_codes
from delegation_app.services.transactions import durable, nested

Decision = ConsentRecord.Decision
_PENDING: Final = ConsentRecord.Confirmation.PENDING
_EVENTS: Final[dict[str, Event]] = {
    Decision.GRANTED: CONSENT_GRANTED,
    Decision.DENIED: CONSENT_DENIED,
    Decision.TRUSTED: CONSENT_SKIPPED,
}


@dataclass(frozen=True, slots=True)
class Answer:
    """A user's input on a consent screen.

    Attributes:
        selected: the scopes of the ticked checkboxes.
        lifetime: the selected duration; None for no end.
        is_denial: whether the user has pressed Deny, whatever is selected.
    """

    selected: Scope = Scope()
    lifetime: timedelta | None = None
    is_denial: bool = False


@dataclass(frozen=True, slots=True)
class ConsentDecision:
    """The grant that results from an answer; `granted` includes earlier grants.

    Attributes:
        pending: whether an operator has to approve it.
        until: the end of an operator's earlier approval (UTC); None for no such bound.
    """

    granted: Scope = Scope()
    lifetime: timedelta | None = None
    pending: bool = False
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class ConsentOutcome:
    """The answer to a request, and its result.

    Attributes:
        request: the request.
        record: the answer; for a grant without a prompt, the consent that covers it.
        code: the authorization code; empty for a device, and where nothing is granted yet.
    """

    request: ConsentRequest
    record: ConsentRecord
    code: str = ""

    @property
    def is_pending(self) -> bool:
        """Whether it awaits an operator's approval."""
        return self.record.confirmation == _PENDING

    @property
    def location(self) -> str:
        """The URL at the client to which the browser returns; empty for a device."""
        if self.request.target is None:
            return ""
        if self.code:
            return self.request.target.carrying(code=self.code)
        description = "The user denied the request."
        if self.is_pending:
            description = "An operator has to approve this first. Try again later."
        code = AccessDenied.code
        return self.request.target.carrying(error=code, error_description=description)


class AskAgain(InvalidRequest):
    """The answer is not accepted: the screen is shown again. Nothing is recorded.

    Args:
        sentence: the reason for the user, in their language.
    """

    def __init__(self, sentence: str, *, detail: str) -> None:
        super().__init__("The answer is not complete.", detail=detail)
        self.sentence = sentence


@durable
def decide(
    request: ConsentRequest,
    answer: Answer,
    context: audit.RequestContext,
    shown: Callable[[ConsentRequest], Screen | None] = screen.compose,
) -> ConsentOutcome:
    """Record a user's answer, and create the delegation that it allows.

    Args:
        request: the request of a browser or a device.
        answer: the user's input. An empty selection is a denial.
        context: the user and the origin of the request.
        shown: returns the screen that the user saw; None if it would be different now.

    Returns:
        The record, with a code for a browser; a device finds its delegation when it polls. While an
        operator has to approve it, nothing is created.

    Raises:
        InvalidScope: a selected scope was not requested; nothing is recorded.
        AskAgain: the answer is not complete, or the screen has changed; nothing is recorded.
        InvalidRequest: the request was answered before, or the device's code has expired; nothing
            is recorded.

    Side effects: the record, the delegation, and the code or the device's row; an audit event for
    each but the device's row. If nothing is created: the record, its event and the device's row.
    """
    if answer.is_denial:
        page, decision = shown(request), None
    else:
        page, decision = locked_screen(request, shown), evaluate(request, answer)
    if decision is None:
        consent = record(request, Decision.DENIED, ConsentDecision(), context, page)
        _settle_device(request, consent=consent, denied_at=consent.decided_at)
        return ConsentOutcome(request, consent)
    consent = record(request, Decision.GRANTED, decision, context, page)
    if decision.pending:
        _settle_device(request, consent=consent)
        return ConsentOutcome(request, consent)
    return grant(request, consent, decision.granted, context, just_allowed=True)


def first_answer(user: Any, **lookup: Any) -> ConsentRecord | None:
    """Return this user's answer to the request that a lookup finds, or None. Reads only."""
    return ConsentRecord.objects.filter(user=user.pk, **lookup).first()


def repeat(request: ConsentRequest, first: ConsentRecord, answer: Answer) -> ConsentOutcome | None:
    """Deliver the first answer to a user who gives the same answer again. Reads only.

    Args:
        request: the request.
        first: the record of the first answer.
        answer: the user's input this time.

    Returns:
        None if the first answer cannot be delivered: its code was redeemed or has expired, or the
        user now denies, allows, or allows less.
    """
    denies = answer.is_denial or not answer.selected
    if first.decision == Decision.DENIED:
        return ConsentOutcome(request, first) if denies else None
    if first.confirmation == _PENDING:
        return ConsentOutcome(request, first)
    if denies or not _grants_at_most(first, answer.selected | request.already_granted, answer):
        return None
    code = authorization_codes.still_good(request.handle)
    return None if code is None else ConsentOutcome(request, first, code)


def is_denied(record: ConsentRecord) -> bool:
    """Return whether the user denied the request, or an operator rejected the consent."""
    rejected = ConsentRecord.Confirmation.REFUSED
    return record.decision == Decision.DENIED or record.confirmation == rejected


def unanswered_devices() -> QuerySet[DeviceCode]:
    """Return the devices that a user may answer; one with a record already awaits approval."""
    rows = DeviceCode.objects.filter(approved_at=None, denied_at=None, consent=None)
    return rows.filter(expires_at__gt=clock.now())


def too_late() -> InvalidRequest:
    """Return the refusal of an answer about a device that awaits none."""
    return InvalidRequest("This code was answered already or has expired. Start again.")


def locked_screen(
    request: ConsentRequest, shown: Callable[[ConsentRequest], Screen | None]
) -> Screen:
    """Return the answered screen, with the pair locked until the commit; see `decide`.

    A block of the pair comes before the answer, and then the screen would show it; or it comes
    after the answer. Call it inside a transaction.
    """
    blocks.hold_pair(request.sign_in.subject, request.client.client_id)
    page = shown(request)
    if page is None:
        sentence = _("What this page says has changed just now. Read it again before you answer.")
        raise AskAgain(sentence, detail="the text has changed")
    return page


def evaluate(request: ConsentRequest, answer: Answer) -> ConsentDecision | None:
    """Return what an answer grants; None without a selection, which is a denial. Reads only.

    Raises:
        InvalidScope: a selected scope was not requested.
        AskAgain: a required scope is not selected; or none is, and some are never preselected.
    """
    if not answer.selected <= request.scope:
        raise InvalidScope("The answer has scopes that were not requested.")
    selected = answer.selected & request.selectable
    if missing := request.required - request.already_granted - selected:
        raise AskAgain(_it_needs(request, missing), detail=f"needed: {missing}")
    if not selected:
        if risk.risky(request.selectable):
            raise AskAgain(_("Tick what you allow, or press Deny."), detail="nothing ticked")
        return None
    pending, until = history.approval(request, selected)
    return ConsentDecision(selected | request.already_granted, answer.lifetime, pending, until)


def record(
    request: ConsentRequest,
    decision: Decision,
    answer: ConsentDecision,
    context: audit.RequestContext,
    shown: Screen | None = None,
) -> ConsentRecord:
    """Store an answer, with the screen word for word if there was one.

    Raises:
        InvalidRequest: the request was answered before.

    Side effects: one row, one audit event. Call it inside a transaction.
    """
    consent = _row(request, decision, answer, context, shown)
    try:
        with nested():
            consent.save(force_insert=True)
    except IntegrityError as error:
        answered = InvalidRequest("This request was answered already.")
        answered.may_be_done = True
        raise answered from error
    details = {"granted": str(answer.granted), "refused": str(consent.scopes_refused)}
    if answer.pending:
        details["confirmation"] = consent.confirmation
    audit.record(_EVENTS[decision], context, consent=consent, details=details)
    return consent


def grant(
    request: ConsentRequest,
    consent: ConsentRecord,
    scope: Scope,
    context: audit.RequestContext,
    *,
    just_allowed: bool = False,
) -> ConsentOutcome:
    """Create the delegation that a consent allows, and deliver it to the browser or the device.

    Args:
        request: the request.
        consent: the consent that the delegation rests on.
        scope: the scopes of the delegation.
        context: the user and the origin of the request.
        just_allowed: whether the answer was given in this very transaction.

    Side effects: those of `creation.create`, and a code with an event or the device's row. Call it
    inside a transaction.
    """
    delegation = create_delegation(request, consent, scope, context, just_allowed=just_allowed)
    if request.target is None:
        _settle_device(request, approved_at=clock.now(), consent=consent, delegation=delegation)
        return ConsentOutcome(request, consent)
    code = authorization_codes.issue(
        delegation,
        handle=request.handle,
        redirect_uri=request.target.uri,
        code_challenge=request.code_challenge,
        origin=context,
    )
    return ConsentOutcome(request, consent, code)


def create_delegation(
    request: ConsentRequest,
    consent: ConsentRecord,
    scope: Scope,
    context: audit.RequestContext,
    *,
    just_allowed: bool = False,
) -> Delegation:
    """Create the delegation that a consent allows; see `grant`."""
    is_answer = consent.decision == Decision.GRANTED
    # A record without a prompt rests on the last answered screen, if there is one
    page = consent if is_answer else history.look_up(replace(request, scope=scope)).covering
    terms = Terms(
        client=request.client,
        scope=scope,
        audience=request.audience,
        grant_type=request.grant_type,
        constraints=request.constraints,
        sign_in=request.sign_in,
        consent=consent,
        # The end that the user has selected bounds every later delegation, too
        expires_at=history.ends_at(consent, request.client),
        allowed_at=None if page is None else page.decided_at,
    )
    return creation.create(terms, context, just_allowed=just_allowed)


def _it_needs(request: ConsentRequest, missing: Scope) -> str:
    known = toolkit.all_scopes()
    names = ", ".join(sanitize(known.get(name, name)) for name in missing)
    sentence = _("%(app)s cannot work without: %(scopes)s. Tick it too, or press Deny.")
    return sentence % {"app": screen.app_name(request), "scopes": names}


def _grants_at_most(record: ConsentRecord, scope: Scope, answer: Answer) -> bool:
    if not record.scopes_granted <= scope:
        return False
    if answer.lifetime is None:
        return True
    end = record.chosen_expiry
    return end is not None and end <= record.decided_at + answer.lifetime


def _settle_device(request: ConsentRequest, **columns: Any) -> None:
    if request.device is None:
        return
    # Of concurrent answers one wins. What a refused one has written so far is rolled back.
    if not unanswered_devices().filter(pk=request.device.pk).update(**columns):
        raise too_late()


def _row(
    request: ConsentRequest,
    decision: Decision,
    answer: ConsentDecision,
    context: audit.RequestContext,
    shown: Screen | None,
) -> ConsentRecord:
    now = clock.now()
    denied = decision == Decision.DENIED
    return ConsentRecord(
        request_digest=request.digest,
        user_id=request.sign_in.user.pk,
        subject=request.sign_in.subject,
        client=request.client.application,
        client_id_value=request.client.client_id,
        client_name=str(request.client.application),
        redirect_host=request.redirect_host,
        scopes_asked=request.scope,
        scopes_granted=answer.granted,
        # A denial leaves what was granted before
        scopes_refused=request.selectable if denied else request.scope - answer.granted,
        audience=request.audience,
        constraints=request.constraints,
        text_version="" if shown is None else screen.VERSION,
        locale=get_language() or "" if shown is None else shown.locale,
        shown={} if shown is None else shown.content,
        chosen_expiry=_end(answer, now),
        auth_time=request.sign_in.auth_time,
        acr=request.sign_in.acr,
        confirmation=_PENDING if answer.pending else "",
        decision=decision,
        decided_at=now,
        ip_address=context.ip,
        user_agent=audit.printable(masked(context.user_agent), 255),
    )


def _end(answer: ConsentDecision, now: datetime) -> datetime | None:
    chosen = None if answer.lifetime is None else now + answer.lifetime
    return min((end for end in (chosen, answer.until) if end is not None), default=None)
