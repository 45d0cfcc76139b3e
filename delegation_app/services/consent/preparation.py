"""Preparing a consent request before the user answers: a screen, a grant or a wait."""

from __future__ import annotations

from typing import Final

from delegation_app import clock
from delegation_app.conf import conf
from delegation_app.protocol.errors import ConsentRequired, InvalidRequest, TooManyAttempts
from delegation_app.services import audit, event_counts
from delegation_app.services.consent import history, screen
from delegation_app.services.consent.decision import (
    ConsentDecision,
    ConsentOutcome,
    Decision,
    grant,
    record,
)
from delegation_app.services.consent.request import ConsentRequest
from delegation_app.services.consent.screen import Screen
from delegation_app.services.transactions import durable

_WINDOW: Final = 60


def prepare(request: ConsentRequest, context: audit.RequestContext) -> Screen | ConsentOutcome:
    """Return the screen that the user has to answer, or the outcome without one.

    That is a grant where no prompt is required, or the user's answer that awaits approval.

    Args:
        request: from a browser, or from a device, which always gets a screen.
        context: the user and the origin of the request.

    Raises:
        ConsentRequired: the user has to be prompted, and `prompt=none` forbids it.
        InvalidRequest: the covering consent was withdrawn at the same time.
        TooManyAttempts: the client got too many codes for this user in this minute.

    Side effects: none for a screen or a wait. For a grant two or three rows and as many audit
    events: it rests on the covering consent, for a trusted client on a record of its own.
    """
    if request.is_on_a_device:
        return screen.compose(request)
    past = history.look_up(request)
    if not history.requires_prompt(past):
        return _grant_without_prompt(request, context)
    if "none" in request.prompts:
        raise ConsentRequired("The user must be prompted.", redirect=request.target)
    # A second answer would only lengthen the operators' queue
    waiting = None if "consent" in request.prompts else history.awaiting_approval(request)
    if waiting is not None:
        return ConsentOutcome(request, waiting)
    return screen.compose(history.with_previous_grants(past))


@durable
def _grant_without_prompt(request: ConsentRequest, context: audit.RequestContext) -> ConsentOutcome:
    _limit_codes(request)
    if request.client.is_trusted:
        answer = ConsentDecision(request.scope, request.client.delegation_lifetime)
        consent = record(request, Decision.TRUSTED, answer, context)
    else:
        # A block stored beside this cuts what is created here, or revokes it: no row needs a lock
        covering = history.look_up(request).covering
        if covering is None:
            raise InvalidRequest("The consent was withdrawn just now.")
        consent = covering
    return grant(request, consent, request.scope, context)


def _limit_codes(request: ConsentRequest) -> None:
    seconds = int(clock.now().timestamp())
    group = f"silent code\n{request.sign_in.subject}\n{request.client.client_id}"
    if event_counts.nth(seconds // _WINDOW, group) > conf.non_interactive_codes_per_minute:
        # RFC 6749 section 4.1.2.1: `temporarily_unavailable`, which may be redirected
        raise TooManyAttempts(
            "Too many codes for one user. Wait a minute.",
            retry_after=_WINDOW - seconds % _WINDOW,
            detail=f"NON_INTERACTIVE_CODES_PER_MINUTE is {conf.non_interactive_codes_per_minute}",
            redirect=request.target,
        )
