"""Asking people, remembering what they said, and opening what they allowed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

from django.db import IntegrityError
from django.db.models import Exists, OuterRef
from django.utils import timezone
from django.utils.translation import get_language

from delegation_app import toolkit
from delegation_app.events import (
    CONSENT_DENIED,
    CONSENT_GRANTED,
    CONSENT_SKIPPED,
    CONSENT_WITHDRAWN,
    Event,
)
from delegation_app.models import ConsentRecord, Delegation
from delegation_app.protocol import names
from delegation_app.protocol.authorization_request import AuthorizationRequest
from delegation_app.protocol.errors import AccessDenied, InvalidRequest, InvalidScope, OAuthError
from delegation_app.protocol.scope import Scope
from delegation_app.protocol.secrets import digest
from delegation_app.services import audit, codes, delegate, revoke
from delegation_app.services.clients import Client
from delegation_app.services.transactions import joined, own

TEXT_VERSION: Final = "1"

_Decision = ConsentRecord.Decision
_EVENTS: Final[dict[str, Event]] = {
    _Decision.GRANTED: CONSENT_GRANTED,
    _Decision.DENIED: CONSENT_DENIED,
    _Decision.TRUSTED: CONSENT_SKIPPED,
}


@dataclass(frozen=True, slots=True)
class Question:
    """A request in front of a person."""

    request: AuthorizationRequest
    client: Client
    sign_in: delegate.SignIn
    handle: str


def must_ask(question: Question, prompts: frozenset[str]) -> bool:
    """Tell whether the person has to be asked. Reads only.

    A trusted client is not asked about, unless it wants the question itself; others are asked
    about unless a standing consent covers the request.
    """
    if "consent" in prompts:
        return True
    client = question.client
    if client.is_trusted:
        return False
    # RFC 8252 section 8.6: anybody can claim to be a public client, so it is asked about each time
    if client.policy.always_ask or not client.is_confidential:
        return True
    return covering(question) is None


def covering(question: Question) -> ConsentRecord | None:
    """Return a standing consent of this person that covers the request, or None.

    A consent no longer speaks once somebody other than the client itself has revoked what it
    opened: the person shall be asked again.
    """
    revoked = Delegation.objects.filter(consent=OuterRef("pk"), revoked_at__isnull=False)
    by_others = revoked.exclude(revoked_by=question.client.subject)
    candidates = (
        ConsentRecord.objects.standing(timezone.now())
        .filter(user=question.sign_in.user.pk, client=question.client.application)
        .filter(~Exists(by_others))
        .order_by("-decided_at")
    )
    request = question.request
    for record in candidates[:50]:
        if request.scope <= record.scopes_granted and request.audience <= record.audience:
            return record
    return None


@own
def allow(question: Question, granted: Scope, origin: audit.Origin) -> str | OAuthError:
    """Record what the person allowed, open the delegation, and return a code for it.

    Args:
        question: what was shown.
        granted: the scopes that the person left ticked.
        origin: the person, and from where.

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
    consent = _record(question, _Decision.GRANTED, granted, origin)
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
        consent = _record(question, _Decision.TRUSTED, question.request.scope, origin)
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
        return revoke.each(consent.delegations.all(), origin, reason=reason)


def expiry_of(client: Client, now: datetime) -> datetime | None:
    """Return when a delegation that a person grants now will end."""
    lifetime = client.delegation_lifetime
    return None if lifetime is None else now + lifetime


def redirect_host(request: AuthorizationRequest) -> str:
    """Return what the page shows of the redirect URI: its host, or the scheme of an app."""
    parts = urlsplit(request.target.uri)
    return parts.hostname or f"{parts.scheme}:"


def descriptions(scope: Scope) -> list[tuple[str, str]]:
    """Return the scopes with the site's words for them."""
    known = toolkit.all_scopes()
    return [(name, str(known.get(name, name))) for name in scope]


def _denied(question: Question, origin: audit.Origin) -> AccessDenied:
    _record(question, _Decision.DENIED, Scope(), origin)
    error = AccessDenied("The person denied the request.")
    error.recorded = True
    error.redirect = question.request.target
    return error


def _record(
    question: Question, decision: str, granted: Scope, origin: audit.Origin
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
        text_version="" if decision == _Decision.TRUSTED else TEXT_VERSION,
        locale=get_language() or "",
        chosen_expiry=expiry_of(client, now) if granted else None,
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
    terms = delegate.Terms(
        client=question.client,
        scope=granted,
        audience=question.request.audience,
        grant_type=names.AUTHORIZATION_CODE,
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
