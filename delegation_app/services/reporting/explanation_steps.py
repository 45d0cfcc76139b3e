"""The steps in which a token is judged, each with what it found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Model
from django.utils import timezone
from django.utils.translation import gettext as _

from delegation_app import clock
from delegation_app.events import DELEGATION_REVOKED
from delegation_app.models import AuditEvent, Delegation
from delegation_app.models.validity import users_can_be_inactive
from delegation_app.protocol.claims import client_subject
from delegation_app.services.clients import lookup, setup_problems
from delegation_app.services.tokens import introspection
from delegation_app.services.tokens.lookup import PresentedAccessToken


@dataclass(frozen=True, slots=True)
class ExplanationStep:
    """One thing that was looked at.

    Attributes:
        title: what was looked at, in a word or two.
        passed: whether it speaks for the token.
        text: what was found, in a sentence.
        evidence: the rows that prove it: delegations and audit events.
    """

    title: str
    passed: bool
    text: str
    evidence: tuple[Model, ...] = ()


def moment(when: datetime) -> str:
    """Return a time in the site's time zone."""
    return f"{timezone.localtime(when):%Y-%m-%d %H:%M:%S}"


def expiry(title: str, when: datetime | None) -> ExplanationStep:
    """Look whether a time is over."""
    if when is None:
        return ExplanationStep(title, passed=True, text=_("It does not expire."))
    if when <= clock.now():
        return ExplanationStep(
            title, passed=False, text=_("It expired on %(when)s.") % {"when": moment(when)}
        )
    return ExplanationStep(
        title, passed=True, text=_("It is valid until %(when)s.") % {"when": moment(when)}
    )


def of_delegation(delegation: Delegation) -> Iterator[ExplanationStep]:
    """Look at a delegation as `in_force` does: itself, its person, its client, those above."""
    related = ("delegate__delegation_policy",)
    rows = Delegation.objects.filter(public_id__in=delegation.chain).select_related(*related)
    chain = list(rows.order_by("depth"))
    yield _revocation(delegation, chain)
    yield expiry(_("Delegation: time"), delegation.expires_at)
    if not delegation.subject.startswith(client_subject("")):
        yield _person(delegation)
    yield _client(delegation)
    for above in reversed(chain[:-1]):
        yield _ancestor(above)


def of_client(client_id: str) -> Iterator[ExplanationStep]:
    """Look at what of a client does not work as it is set up now."""
    client = lookup.find(client_id) if client_id else None
    if client_id and client is None:
        text = _("There is no client %(client)s.") % {"client": client_id}
        yield ExplanationStep(_("Client"), passed=False, text=text)
    for sentence in [] if client is None else setup_problems.of_client(client):
        yield ExplanationStep(_("Client, as it is set up now"), passed=False, text=sentence)


def of_places(found: PresentedAccessToken) -> ExplanationStep:
    """Look at what policies and resource servers leave of an access token, where it is valid."""
    told = [_place(found, identifier) for identifier in found.row.audience]
    passed = any(good for good, _text in told)
    text = " ".join(text for _good, text in told) or _("It is valid nowhere.")
    return ExplanationStep(_("Policy and resource servers"), passed=passed, text=text)


def _revocation(delegation: Delegation, chain: Sequence[Delegation]) -> ExplanationStep:
    title = _("Delegation")
    if delegation.revoked_at is None:
        text = _("It is not revoked.")
        return ExplanationStep(title, passed=True, text=text, evidence=(delegation,))
    # The event stands with whichever was chosen: this one, or one above it
    events = AuditEvent.objects.filter(
        delegation__in=[row.pk for row in chain], event=DELEGATION_REVOKED.name
    ).order_by("-occurred_at", "-pk")
    words = {
        "when": moment(delegation.revoked_at),
        "by": delegation.revoked_by,
        "why": delegation.revocation_reason or _("no reason given"),
    }
    text = _("It was revoked on %(when)s by %(by)s: %(why)s.") % words
    return ExplanationStep(title, passed=False, text=text, evidence=(delegation, *events[:1]))


def _person(delegation: Delegation) -> ExplanationStep:
    title, user = _("Person"), delegation.principal_user
    if user is None:
        text = _("%(who)s was deleted.") % {"who": delegation.subject}
        return ExplanationStep(title, passed=False, text=text)
    who = {"who": user.get_username()}
    if users_can_be_inactive() and not user.is_active:
        return ExplanationStep(title, passed=False, text=_("%(who)s is disabled.") % who)
    return ExplanationStep(title, passed=True, text=_("%(who)s is active.") % who)


def _client(delegation: Delegation) -> ExplanationStep:
    title, client = _("Client"), {"client": delegation.delegate_client_id}
    if delegation.delegate is None:
        return ExplanationStep(title, passed=False, text=_("%(client)s was deleted.") % client)
    if not _is_enabled(delegation):
        return ExplanationStep(title, passed=False, text=_("%(client)s is disabled.") % client)
    return ExplanationStep(title, passed=True, text=_("%(client)s is enabled.") % client)


def _ancestor(above: Delegation) -> ExplanationStep:
    # A revocation or expiry above has reached every row below; only the client is asked each time
    words = {"client": above.delegate_client_id}
    text = _("%(client)s, from which it comes, is enabled.")
    if not (passed := _is_enabled(above)):
        text = _("%(client)s, from which it comes, is disabled.")
    return ExplanationStep(_("Above"), passed=passed, text=text % words, evidence=(above,))


def _is_enabled(delegation: Delegation) -> bool:
    policy = getattr(delegation.delegate, "delegation_policy", None)
    return policy is None or policy.enabled


def _place(found: PresentedAccessToken, identifier: str) -> tuple[bool, str]:
    words = {"where": identifier}
    if identifier not in found.row.delegation.audience:
        return False, _("%(where)s: taken from the delegation since.") % words
    if found.client is None or identifier not in found.audience:
        return False, _("%(where)s: switched off, or taken from the client's policy.") % words
    server = found.client.servers[identifier]
    if (refusal := introspection.refusal_at(found, server)) is not None:
        return False, _("%(where)s: %(limit)s") % {**words, "limit": refusal}
    scope = found.scope_at(server)
    if not scope:
        return False, _("%(where)s: none of its scopes is left.") % words
    return True, _("%(where)s: good for %(scope)s.") % {**words, "scope": scope}
