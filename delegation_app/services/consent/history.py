"""What a person answered before, as far as it still speaks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils.translation import gettext_lazy as _

from delegation_app import clock, toolkit
from delegation_app.models import ConsentRecord, DelegationBlock
from delegation_app.models.consent import ConsentQuerySet
from delegation_app.protocol import names
from delegation_app.protocol.requests.authorization_request import AuthorizationRequest
from delegation_app.protocol.scope import Scope
from delegation_app.protocol.secrets import digest
from delegation_app.services.clients.lookup import RegisteredClient
from delegation_app.services.consent import risk
from delegation_app.services.consent.request import ON_A_DEVICE, ConsentRequest
from delegation_app.services.delegations import blocks
from delegation_app.services.delegations.blocks import Authority
from delegation_app.services.delegations.terms import SignIn, Terms

# A person who answered more often than that in one matter is asked again
_MOST: Final = 50


@dataclass(frozen=True, slots=True)
class PreviousConsent:
    """An earlier consent.

    Attributes:
        record: of the answer.
        scope: what it still allows: without what was taken since.
        silent: what of that may be had without asking again: the user has not left it out on a
            later page.
    """

    record: ConsentRecord
    scope: Scope
    silent: Scope


@dataclass(frozen=True, slots=True)
class _Past:
    """What a user answered before about one question.

    Attributes:
        answers: the standing consents that fit it, newest first.
        refused: the scopes that the user has left out or denied at any of the places, on a page of
            a browser or of a device.
    """

    answers: list[PreviousConsent]
    refused: Scope


def find_covering_consent(asked: ConsentRequest) -> ConsentRecord | None:
    """Return a standing consent of this person that covers the request, or None.

    What a person or an operator took from the client since the answer is not covered any more: the
    person is asked again, or the next request would give back what was taken.
    """
    return _covering(_past(asked), asked)


def must_allow(asked: ConsentRequest) -> bool:
    """Whether the person has to allow on a page what a trusted client would have without one.

    So it is where something of it was taken from the client, the user has left it out on a page, or
    an operator has to confirm it.
    """
    authority = Authority(asked.scope, asked.audience)
    client, subject = asked.client, asked.sign_in.subject
    taken = blocks.binding(authority, blocks.of_pair(subject, client.client_id))
    to_confirm = client.policy.confirm_risky and risk.risky(asked.scope)
    past = _past(asked)
    if not taken and not to_confirm and not past.refused & asked.scope:
        return False
    return _covering(past, asked) is None


def with_previous_grants(asked: ConsentRequest, *, whole: bool) -> ConsentRequest:
    """Return the same question with what was granted before.

    Only what would not be asked about by itself is left out of the question: not so for a public
    client, for one that asks always, and on devices.

    Args:
        asked: the question.
        whole: whether the client wants all of it asked (`prompt=consent`).
    """
    if asked.is_on_a_device:
        return asked
    before = granted(asked)
    # RFC 8252 section 8.6: anybody can claim to be a public client, so it is asked about each time
    client = asked.client
    again = whole or client.policy.always_prompt or not client.is_confidential
    if again or before == asked.scope:
        return replace(asked, known=before)
    return replace(asked, held=before)


def granted(asked: ConsentRequest) -> Scope:
    """Return the part of what is asked that standing consents grant already."""
    return asked.scope & Scope(name for one in _past(asked).answers for name in one.silent)


def confirmed(asked: ConsentRequest, scope: Scope) -> ConsentRecord | None:
    """Return a standing consent in which an operator has confirmed all of `scope`, or None."""
    found = (one for one in _past(asked).answers if _is_confirmed(one.record))
    return next((one.record for one in found if scope <= one.scope), None)


def held_until(asked: ConsentRequest, scope: Scope) -> datetime | None:
    """Return how long all of `scope` is granted already; None for no end, or none of it."""
    speaking = _past(asked).answers if scope else []
    ends = []
    for name in scope:
        found = [ends_at(one.record, asked.client) for one in speaking if name in one.silent]
        if found and None not in found:
            ends.append(max(end for end in found if end is not None))
    return min(ends, default=None)


def ends_at(record: ConsentRecord, client: RegisteredClient) -> datetime | None:
    """Return when an answer has run out (UTC); None for no end.

    That is the time that the user chose, or the earlier one that the policy of the client leaves
    now: it may have been shortened since.
    """
    lifetime = client.delegation_lifetime
    bound = None if lifetime is None else record.decided_at + lifetime
    return min((end for end in (record.chosen_expiry, bound) if end is not None), default=None)


def waiting(asked: ConsentRequest) -> ConsentRecord | None:
    """Return the answer to this question that waits for an operator, or None."""
    risky = risk.risky(asked.scope)
    if not risky or not asked.client.policy.confirm_risky:
        return None
    rows = _of_pair(ConsentRecord.objects.awaiting(clock.now()), asked)
    for one in rows[:_MOST]:
        if asked.scope <= one.scopes_asked and risky & one.scopes_granted and _fits(one, asked):
            return one
    return None


def unconfirmed(terms: Terms) -> Scope:
    """Return the scopes of terms that an operator has to confirm, and has not.

    Reads only: no statement unless the policy of the client wants a confirmation, and the scopes
    have a high risk.
    """
    policy, sign_in = terms.client.policy, terms.sign_in
    risky = risk.risky(terms.scope) if policy.confirm_risky else Scope()
    if sign_in is None or not risky:
        return Scope()
    asked = ConsentRequest(
        client=terms.client,
        sign_in=sign_in,
        scope=terms.scope,
        audience=terms.audience,
        constraints=terms.constraints,
        grant_type=terms.grant_type,
        leads_to="",
        request_digest="",
    )
    return risky - _confirmed_scope(_of_operators(asked))


def returning(asked: ConsentRequest) -> list[DelegationBlock]:
    """Return the blocks that the answer to a question would overcome, the oldest first.

    One statement; two where anything was taken.
    """
    found = blocks.of_pair(asked.sign_in.subject, asked.client.client_id)
    bound = blocks.binding(Authority(asked.offered, asked.audience), found)
    if not bound:
        return []
    rows = _of_pair(ConsentRecord.objects.effective(clock.now()), asked)
    later = [one for one in rows[:_MOST] if _fits(one, asked)]
    return [block for block in bound if not _is_overcome(block, later, asked.offered)]


def _is_overcome(block: DelegationBlock, later: list[ConsentRecord], offered: Scope) -> bool:
    # Each of its scopes that is offered was allowed on a page since
    names = offered if block.everything else block.scopes & offered
    since = [one for one in later if one.decided_at > block.blocked_at]
    return all(any(name in one.scopes_granted for one in since) for name in names)


def _covering(past: _Past, asked: ConsentRequest) -> ConsentRecord | None:
    return next((one.record for one in past.answers if asked.scope <= one.silent), None)


def _past(asked: ConsentRequest) -> _Past:
    """Return what was answered before. One statement; two where anything was taken."""
    rows = _pages(asked)
    found = [one for one in rows if one.is_standing and _is_alike(one, asked) and _fits(one, asked)]
    pair = (asked.sign_in.subject, asked.client.client_id)
    taken = blocks.of_pair(*pair) if any(one.has_blocks for one in found) else []
    left = {one.pk: _left(one, taken, asked) for one in found}
    if asked.client.policy.confirm_risky:
        # Also where no confirmation was wanted at the time of the answer
        sure = Scope(name for one in found if _is_confirmed(one) for name in left[one.pk])
        left = {pk: scope - (risk.risky(scope) - sure) for pk, scope in left.items()}
    answers: list[PreviousConsent] = []
    refused = refused_here = Scope()
    # Newest first, so that the last word about each scope counts
    for one in rows:
        if one.pk in left:
            answers.append(PreviousConsent(one, left[one.pk], left[one.pk] - refused_here))
        # What is refused at one of the places cannot be had at all of them
        if one.audience & asked.audience:
            refused |= one.scopes_refused
            # A refusal on a device does not take back what was granted in a browser
            refused_here |= one.scopes_refused if _is_alike(one, asked) else Scope()
    return _Past(answers, refused if len(rows) < _MOST else asked.scope)


def _pages(asked: ConsentRequest) -> list[Any]:
    now, rows = clock.now(), ConsentRecord.objects.all()
    standing = rows.effective(now).filter(pk=OuterRef("pk"))
    if (lifetime := asked.client.delegation_lifetime) is not None:
        standing = standing.filter(decided_at__gt=now - lifetime)
    answered = rows.filter(
        decision__in=(ConsentRecord.Decision.GRANTED, ConsentRecord.Decision.DENIED)
    )
    # A page of the other kind grants nothing here, but what was refused on it has been refused
    alike_or_refused = _alike(asked) | ~Q(scopes_refused="")
    marked = _answers(answered.filter(alike_or_refused), asked).annotate(
        is_standing=Exists(standing), has_blocks=Exists(_blocks_since(asked))
    )
    return list(marked[:_MOST])


def _of_operators(asked: ConsentRequest) -> list[PreviousConsent]:
    return [one for one in _past(asked).answers if _is_confirmed(one.record)]


def _confirmed_scope(answers: Iterable[PreviousConsent]) -> Scope:
    sure = (one.scope for one in answers if _is_confirmed(one.record))
    return Scope(name for scope in sure for name in scope)


def _is_confirmed(record: ConsentRecord) -> bool:
    return record.confirmation == ConsentRecord.Confirmation.CONFIRMED


def _left(record: ConsentRecord, taken: list[DelegationBlock], asked: ConsentRequest) -> Scope:
    since = [block for block in taken if block.blocked_at >= record.decided_at]
    scope = record.scopes_granted
    for block in blocks.binding(Authority(scope, asked.audience), since):
        # Limits too: the page says what they were before they go
        scope = Scope() if block.everything else scope - block.scopes
    return scope


def _blocks_since(asked: ConsentRequest) -> QuerySet[DelegationBlock]:
    rows = DelegationBlock.objects.active().of_pair(asked.sign_in.subject, asked.client.client_id)
    return rows.filter(blocked_at__gte=OuterRef("decided_at"))


def _of_pair(rows: ConsentQuerySet, asked: ConsentRequest) -> QuerySet[ConsentRecord]:
    return _answers(rows.filter(_alike(asked)), asked)


def _answers(rows: ConsentQuerySet, asked: ConsentRequest) -> QuerySet[ConsentRecord]:
    pair = {"user": asked.sign_in.user.pk, "client": asked.client.application}
    return rows.filter(**pair).order_by("-decided_at", "-pk")


def _alike(asked: ConsentRequest) -> Q:
    # A user who is asked about a device is not asked about what happens in a browser
    on_a_device = Q(redirect_host=ON_A_DEVICE)
    return on_a_device if asked.is_on_a_device else ~on_a_device


def _is_alike(record: ConsentRecord, asked: ConsentRequest) -> bool:
    return (record.redirect_host == ON_A_DEVICE) == asked.is_on_a_device


def _fits(record: ConsentRecord, asked: ConsentRequest) -> bool:
    # Also what was promised about the limits has to hold
    return asked.audience <= record.audience and asked.constraints.is_within(record.constraints)


# What a person may choose to shorten a connection to, in seconds
LIFETIMES: Final = (
    (3600, _("one hour")),
    (24 * 3600, _("one day")),
    (7 * 24 * 3600, _("one week")),
    (30 * 24 * 3600, _("30 days")),
)


@dataclass(frozen=True, slots=True)
class ConsentQuestion:
    """A request in front of a person."""

    request: AuthorizationRequest
    client: RegisteredClient
    sign_in: SignIn
    handle: str
    held: Scope = Scope()
    known: Scope = Scope()

    @property
    def asked(self) -> ConsentRequest:
        """The question as it is recorded."""
        request = self.request
        return ConsentRequest(
            client=self.client,
            sign_in=self.sign_in,
            scope=request.scope,
            audience=request.audience,
            constraints=request.constraints,
            grant_type=names.AUTHORIZATION_CODE,
            leads_to=redirect_host(request),
            request_digest=digest(self.handle),
            held=self.held,
            known=self.known,
        )

    def as_shown(self, *, held: Scope, known: Scope) -> ConsentQuestion:
        """Return it with what its page said was granted before.

        Marks that the answer to another page has changed since do not matter. What had no box to
        tick must still be granted.
        """
        still = granted(self.asked) if held else Scope()
        return replace(self, held=held & still, known=known)

    def looked_back(self, *, whole: bool) -> ConsentQuestion:
        """Return it with what was granted before; see `history.with_previous_grants`."""
        found = with_previous_grants(self.asked, whole=whole)
        return replace(self, held=found.held, known=found.known)


def must_ask(question: ConsentQuestion, prompts: frozenset[str]) -> bool:
    """Tell whether the person has to be asked. Reads only.

    A trusted client is not asked about, unless it wants the question itself, or something was
    taken from it; others are asked about unless a standing consent covers the request.
    """
    if "consent" in prompts:
        return True
    client = question.client
    if client.is_trusted:
        return must_allow(question.asked)
    # RFC 8252 section 8.6: anybody can claim to be a public client, so it is asked about each time
    if client.policy.always_prompt or not client.is_confidential:
        return True
    return find_covering_consent(question.asked) is None


def redirect_host(request: AuthorizationRequest) -> str:
    """Return what the page shows of the redirect URI: its host, or the scheme of an app."""
    parts = urlsplit(request.target.uri)
    return parts.hostname or f"{parts.scheme}:"


def descriptions(scope: Scope) -> list[tuple[str, str]]:
    """Return the scopes with the site's words for them."""
    known = toolkit.all_scopes()
    return [(name, str(known.get(name, name))) for name in scope]
