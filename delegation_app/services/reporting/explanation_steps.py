"""The checks of a token, each with its result."""

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
    """A check and its result.

    Attributes:
        title: the name of the check.
        passed: whether the token passed.
        text: the result, in a sentence.
        evidence: the delegations and audit events that prove it.
    """

    title: str
    passed: bool
    text: str
    evidence: tuple[Model, ...] = ()


def moment(when: datetime) -> str:
    """Return a time in the site's time zone."""
    return f"{timezone.localtime(when):%Y-%m-%d %H:%M:%S}"


def expiry(title: str, when: datetime | None) -> ExplanationStep:
    """Check an expiry."""
    if when is None:
        return ExplanationStep(title, passed=True, text=_("No expiry."))
    if when <= clock.now():
        return ExplanationStep(
            title, passed=False, text=_("Expired on %(when)s.") % {"when": moment(when)}
        )
    return ExplanationStep(
        title, passed=True, text=_("Valid until %(when)s.") % {"when": moment(when)}
    )


def of_delegation(delegation: Delegation) -> Iterator[ExplanationStep]:
    """Check a delegation like `in_force`: revocation, expiry, user, client, ancestors."""
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
    """Report the current configuration problems of a client."""
    client = lookup.find(client_id) if client_id else None
    if client_id and client is None:
        text = _("The client %(client)s does not exist.") % {"client": client_id}
        yield ExplanationStep(_("Client"), passed=False, text=text)
    for sentence in [] if client is None else setup_problems.of_client(client):
        yield ExplanationStep(_("Client configuration"), passed=False, text=sentence)


def of_places(found: PresentedAccessToken) -> ExplanationStep:
    """Check an access token against policies and resource servers, per audience."""
    places = [_place(found, identifier) for identifier in found.row.audience]
    passed = any(good for good, _text in places)
    text = " ".join(text for _good, text in places) or _("No resource server accepts it.")
    return ExplanationStep(_("Policy and resource servers"), passed=passed, text=text)


def _revocation(delegation: Delegation, chain: Sequence[Delegation]) -> ExplanationStep:
    title = _("Delegation")
    if delegation.revoked_at is None:
        text = _("Not revoked.")
        return ExplanationStep(title, passed=True, text=text, evidence=(delegation,))
    # The event refers to the revoked delegation: this one or an ancestor
    events = AuditEvent.objects.filter(
        delegation__in=[row.pk for row in chain], event=DELEGATION_REVOKED.name
    ).order_by("-occurred_at", "-pk")
    words = {
        "when": moment(delegation.revoked_at),
        "by": delegation.revoked_by,
        "why": delegation.revocation_reason or _("no reason given"),
    }
    text = _("Revoked on %(when)s by %(by)s: %(why)s.") % words
    return ExplanationStep(title, passed=False, text=text, evidence=(delegation, *events[:1]))


def _person(delegation: Delegation) -> ExplanationStep:
    title, user = _("User"), delegation.principal_user
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
    # Revocation and expiry of an ancestor apply to every row below; only its client is checked
    words = {"client": above.delegate_client_id}
    text = _("%(client)s is enabled.")
    if not (passed := _is_enabled(above)):
        text = _("%(client)s is disabled.")
    return ExplanationStep(_("Parent client"), passed=passed, text=text % words, evidence=(above,))


def _is_enabled(delegation: Delegation) -> bool:
    policy = getattr(delegation.delegate, "delegation_policy", None)
    return policy is None or policy.enabled


def _place(found: PresentedAccessToken, identifier: str) -> tuple[bool, str]:
    words = {"where": identifier}
    if identifier not in found.row.delegation.audience:
        return False, _("%(where)s: removed from the delegation.") % words
    if found.client is None or identifier not in found.audience:
        return False, _("%(where)s: inactive, or removed from the client's policy.") % words
    server = found.client.servers[identifier]
    if (refusal := introspection.refusal_at(found, server)) is not None:
        return False, _("%(where)s: %(limit)s") % {**words, "limit": refusal}
    scope = found.scope_at(server)
    if not scope:
        return False, _("%(where)s: no scopes remain.") % words
    return True, _("%(where)s: valid for %(scope)s.") % {**words, "scope": scope}
