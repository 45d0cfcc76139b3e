"""A user's earlier answers, as far as they are still effective."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from django.db.models import Exists, OuterRef, Q, QuerySet

from delegation_app import clock, toolkit
from delegation_app.models import ConsentRecord, DelegationBlock
from delegation_app.models.consent import ConsentQuerySet
from delegation_app.protocol.scope import Scope
from delegation_app.services.clients.registered_client import RegisteredClient
from delegation_app.services.consent import risk
from delegation_app.services.consent.request import ON_A_DEVICE, ConsentRequest
from delegation_app.services.delegations import blocks
from delegation_app.services.delegations.blocks import Authority
from delegation_app.services.delegations.terms import Terms

# A user with more answers than that about one client is prompted again
_MAX_ANSWERS: Final = 50


@dataclass(frozen=True, slots=True)
class PreviousConsent:
    """An earlier consent.

    Attributes:
        record: of the answer.
        scope: what it still allows, without what was blocked since.
        silent: what of that is granted without a prompt: the user has not left it out on a later
            screen.
    """

    record: ConsentRecord
    scope: Scope
    silent: Scope


@dataclass(frozen=True, slots=True)
class PreviousAnswers:
    """A user's earlier answers to requests like one.

    Attributes:
        request: the request.
        answers: the effective consents that cover its audience and limits, newest first.
        refused: the scopes that the user has left out or denied at any of the audiences, in a
            browser or on a device.
    """

    request: ConsentRequest
    answers: list[PreviousConsent]
    refused: Scope

    @property
    def covering(self) -> ConsentRecord | None:
        """An effective consent that covers the request, or None.

        It does not cover what the user or an operator has blocked for the client since: without a
        new answer, the next request would restore it.
        """
        scope = self.request.scope
        return next((one.record for one in self.answers if scope <= one.silent), None)

    @property
    def granted(self) -> Scope:
        """The part of the requested scope that effective consents grant already."""
        return self.request.scope & Scope(name for one in self.answers for name in one.silent)


def requires_prompt(past: PreviousAnswers) -> bool:
    """Return whether the user has to be prompted. Reads only.

    A trusted client is granted its request without a prompt, unless it requests one, some of the
    scope was blocked or left out before, or an operator has to approve it. Any other client is
    prompted for unless an effective consent covers the request.
    """
    request, client = past.request, past.request.client
    if "consent" in request.prompts:
        return True
    if client.is_trusted:
        found = blocks.of_pair(request.sign_in.subject, client.client_id)
        blocked = blocks.binding(Authority(request.scope, request.audience), found)
        to_approve = client.policy.confirm_risky and risk.risky(request.scope)
        if not blocked and not to_approve and not past.refused & request.scope:
            return False
    # RFC 8252 section 8.6: any app can claim to be a public client, so each request is prompted for
    elif client.policy.always_prompt or not client.is_confidential:
        return True
    return past.covering is None


def with_previous_grants(past: PreviousAnswers) -> ConsentRequest:
    """Return the request with what was granted before.

    Only what would be granted without a prompt loses its checkbox: nothing of a public client's
    request, of a client that always prompts, or of `prompt=consent`.
    """
    request, client = past.request, past.request.client
    # RFC 8252 section 8.6, as above
    again = client.policy.always_prompt or not client.is_confidential
    if again or "consent" in request.prompts or past.granted == request.scope:
        return replace(request, already_granted=Scope(), previously_granted=past.granted)
    return replace(request, already_granted=past.granted, previously_granted=Scope())


def approval(request: ConsentRequest, selected: Scope) -> tuple[bool, datetime | None]:
    """Return whether an answer awaits an operator's approval, and its latest end (UTC).

    No answer extends a high-risk scope beyond what an operator has approved before.

    Args:
        request: what is requested.
        selected: the scopes that the answer selects.

    Side effects: none; at most two statements, none unless the client requires approval.
    """
    if not request.client.policy.confirm_risky:
        return False, None
    risky, granted = risk.risky(selected), risk.risky(request.already_granted)
    answers = look_up(request).answers if risky or granted else []
    found = (one for one in answers if _is_approved(one.record) and risky <= one.scope)
    approved = next((one.record for one in found), None) if risky else None
    ends = [None if approved is None else approved.chosen_expiry]
    for name in granted:
        until = [ends_at(one.record, request.client) for one in answers if name in one.silent]
        ends.append(None if None in until else max((end for end in until if end), default=None))
    bound = min((end for end in ends if end is not None), default=None)
    return bool(risky) and approved is None, bound


def ends_at(record: ConsentRecord, client: RegisteredClient) -> datetime | None:
    """Return when a consent expires (UTC); None for no end.

    That is the end that the user has selected, or the earlier one of the client's policy, which may
    have been shortened since.
    """
    lifetime = client.delegation_lifetime
    bound = None if lifetime is None else record.decided_at + lifetime
    return min((end for end in (record.chosen_expiry, bound) if end is not None), default=None)


def awaiting_approval(request: ConsentRequest) -> ConsentRecord | None:
    """Return the answer to the same request that awaits an operator's approval, or None."""
    risky = risk.risky(request.scope)
    if not risky or not request.client.policy.confirm_risky:
        return None
    rows = _of_pair(ConsentRecord.objects.awaiting(clock.now()), request)
    for one in rows[:_MAX_ANSWERS]:
        is_asked = request.scope <= one.scopes_asked and risky & one.scopes_granted
        if is_asked and _covers_limits(one, request):
            return one
    return None


def unapproved(terms: Terms) -> Scope:
    """Return the scopes of terms that need an operator's approval and do not have it.

    Reads only: no statement unless the policy of the client requires approval, and some of the
    scopes have a high risk.
    """
    policy, sign_in = terms.client.policy, terms.sign_in
    risky = risk.risky(terms.scope) if policy.confirm_risky else Scope()
    if sign_in is None or not risky:
        return Scope()
    request = ConsentRequest(
        client=terms.client,
        sign_in=sign_in,
        scope=terms.scope,
        audience=terms.audience,
        constraints=terms.constraints,
        grant_type=terms.grant_type,
    )
    found = [one.scope for one in look_up(request).answers if _is_approved(one.record)]
    return risky - Scope(name for scope in found for name in scope)


def regranted_blocks(request: ConsentRequest) -> list[DelegationBlock]:
    """Return the blocks that an answer to the request would overcome, the oldest first.

    One statement; two where anything is blocked.
    """
    found = blocks.of_pair(request.sign_in.subject, request.client.client_id)
    bound = blocks.binding(Authority(request.selectable, request.audience), found)
    if not bound:
        return []
    rows = _of_pair(ConsentRecord.objects.effective(clock.now()), request)
    later = [one for one in rows[:_MAX_ANSWERS] if _covers_limits(one, request)]
    return [block for block in bound if not _is_overcome(block, later, request.selectable)]


def _is_overcome(block: DelegationBlock, later: list[ConsentRecord], selectable: Scope) -> bool:
    # Each of its selectable scopes was allowed on a later screen
    names = selectable if block.everything else block.scopes & selectable
    since = [one for one in later if one.decided_at > block.blocked_at]
    return all(any(name in one.scopes_granted for one in since) for name in names)


def look_up(request: ConsentRequest) -> PreviousAnswers:
    """Return the user's earlier answers. One statement; two where anything is blocked."""
    rows = _pages(request)
    found = [
        one
        for one in rows
        if one.is_effective and _is_alike(one, request) and _covers_limits(one, request)
    ]
    pair = (request.sign_in.subject, request.client.client_id)
    blocked = blocks.of_pair(*pair) if any(one.has_blocks for one in found) else []
    left = {one.pk: _left(one, blocked, request) for one in found}
    if request.client.policy.confirm_risky:
        # Also where no approval was required at the time of the answer
        sure = Scope(name for one in found if _is_approved(one) for name in left[one.pk])
        left = {pk: scope - (risk.risky(scope) - sure) for pk, scope in left.items()}
    answers: list[PreviousConsent] = []
    refused = refused_here = Scope()
    # Newest first, so that the latest answer about each scope counts
    for one in rows:
        if one.pk in left:
            answers.append(PreviousConsent(one, left[one.pk], left[one.pk] - refused_here))
        # A scope that is refused at one audience is not granted at all of them
        if one.audience & request.audience:
            refused |= one.scopes_refused
            # A refusal on a device does not revoke what was granted in a browser
            refused_here |= one.scopes_refused if _is_alike(one, request) else Scope()
    return PreviousAnswers(request, answers, refused if len(rows) < _MAX_ANSWERS else request.scope)


def _pages(request: ConsentRequest) -> list[Any]:
    now, rows = clock.now(), ConsentRecord.objects.all()
    effective = rows.effective(now).filter(pk=OuterRef("pk"))
    if (lifetime := request.client.delegation_lifetime) is not None:
        effective = effective.filter(decided_at__gt=now - lifetime)
    answered = rows.filter(
        decision__in=(ConsentRecord.Decision.GRANTED, ConsentRecord.Decision.DENIED)
    )
    # A screen of the other kind grants nothing here, but a refusal on it counts
    alike_or_refused = _alike(request) | ~Q(scopes_refused="")
    marked = _answers(answered.filter(alike_or_refused), request).annotate(
        is_effective=Exists(effective), has_blocks=Exists(_blocks_since(request))
    )
    return list(marked[:_MAX_ANSWERS])


def _is_approved(record: ConsentRecord) -> bool:
    return record.confirmation == ConsentRecord.Confirmation.CONFIRMED


def _left(record: ConsentRecord, blocked: list[DelegationBlock], request: ConsentRequest) -> Scope:
    since = [block for block in blocked if block.blocked_at >= record.decided_at]
    scope = record.scopes_granted
    for block in blocks.binding(Authority(scope, request.audience), since):
        # Limits too: the screen shows them before they are lifted
        scope = Scope() if block.everything else scope - block.scopes
    return scope


def _blocks_since(request: ConsentRequest) -> QuerySet[DelegationBlock]:
    rows = DelegationBlock.objects.active().of_pair(
        request.sign_in.subject, request.client.client_id
    )
    return rows.filter(blocked_at__gte=OuterRef("decided_at"))


def _of_pair(rows: ConsentQuerySet, request: ConsentRequest) -> QuerySet[ConsentRecord]:
    return _answers(rows.filter(_alike(request)), request)


def _answers(rows: ConsentQuerySet, request: ConsentRequest) -> QuerySet[ConsentRecord]:
    pair = {"user": request.sign_in.user.pk, "client": request.client.application}
    return rows.filter(**pair).order_by("-decided_at", "-pk")


def _alike(request: ConsentRequest) -> Q:
    # An answer about a device says nothing about browsers
    on_a_device = Q(redirect_host=ON_A_DEVICE)
    return on_a_device if request.is_on_a_device else ~on_a_device


def _is_alike(record: ConsentRecord, request: ConsentRequest) -> bool:
    return (record.redirect_host == ON_A_DEVICE) == request.is_on_a_device


def _covers_limits(record: ConsentRecord, request: ConsentRequest) -> bool:
    # The limits that the screen promised hold, too
    return request.audience <= record.audience and request.constraints.is_within(record.constraints)


def descriptions(scope: Scope) -> list[tuple[str, str]]:
    """Return the scopes with the site's words for them."""
    known = toolkit.all_scopes()
    return [(name, str(known.get(name, name))) for name in scope]
