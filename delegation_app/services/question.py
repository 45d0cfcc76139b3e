"""The question in front of a person: whether it has to be asked, and what it shows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from urllib.parse import urlsplit

from django.db.models import Exists, OuterRef
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from delegation_app import toolkit
from delegation_app.models import ConsentRecord, Delegation
from delegation_app.protocol import names
from delegation_app.protocol.authorization_request import AuthorizationRequest
from delegation_app.protocol.errors import InvalidRequest
from delegation_app.protocol.scope import Scope
from delegation_app.protocol.secrets import digest
from delegation_app.services.answers import Asked
from delegation_app.services.clients import Client
from delegation_app.services.terms import SignIn

# Stands for the redirect host where there is none; no host has brackets
ON_A_DEVICE: Final = "(device)"

# What a person may choose instead of all the time that the client may have, in seconds
LIFETIMES: Final = (
    (3600, _("one hour")),
    (24 * 3600, _("one day")),
    (7 * 24 * 3600, _("one week")),
    (30 * 24 * 3600, _("30 days")),
)


@dataclass(frozen=True, slots=True)
class Question:
    """A request in front of a person."""

    request: AuthorizationRequest
    client: Client
    sign_in: SignIn
    handle: str

    @property
    def asked(self) -> Asked:
        """The question as it is recorded."""
        request = self.request
        return Asked(
            client=self.client,
            sign_in=self.sign_in,
            scope=request.scope,
            audience=request.audience,
            constraints=request.constraints,
            grant_type=names.AUTHORIZATION_CODE,
            leads_to=redirect_host(request),
            request_digest=digest(self.handle),
        )


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
    opened, or has narrowed it: the person shall be asked again, or the next request would open all
    of it anew.
    """
    # What others made of it carries the same consent, and is their own matter
    roots = Delegation.objects.filter(consent=OuterRef("pk"), parent=None)
    revoked = roots.filter(revoked_at__isnull=False)
    by_others = revoked.exclude(revoked_by=question.client.subject)
    candidates = (
        ConsentRecord.objects.standing(timezone.now())
        .filter(user=question.sign_in.user.pk, client=question.client.application)
        .filter(~Exists(by_others), ~Exists(roots.filter(last_wider_token__isnull=False)))
        # Who was asked about a device was not asked about what happens in a browser
        .exclude(redirect_host=ON_A_DEVICE)
        .order_by("-decided_at")
    )
    request = question.request
    for record in candidates[:50]:
        if _covers(record, request):
            return record
    return None


def redirect_host(request: AuthorizationRequest) -> str:
    """Return what the page shows of the redirect URI: its host, or the scheme of an app."""
    parts = urlsplit(request.target.uri)
    return parts.hostname or f"{parts.scheme}:"


def descriptions(scope: Scope) -> list[tuple[str, str]]:
    """Return the scopes with the site's words for them."""
    known = toolkit.all_scopes()
    return [(name, str(known.get(name, name))) for name in scope]


def lifetimes(client: Client) -> list[tuple[int, Promise]]:
    """Return the times in seconds, with their names, that are shorter than the client's own."""
    longest = client.delegation_lifetime
    return [
        (seconds, label)
        for seconds, label in LIFETIMES
        if longest is None or timedelta(seconds=seconds) < longest
    ]


def chosen_lifetime(client: Client, chosen: str | None) -> timedelta | None:
    """Return the time for which a person grants; None for no end.

    Args:
        client: who is granted something.
        chosen: one of `lifetimes`, in seconds; None for as long as the client may.

    Raises:
        InvalidRequest: it is none of those that were offered.
    """
    if chosen is None:
        return client.delegation_lifetime
    for seconds, _label in lifetimes(client):
        if chosen == str(seconds):
            return timedelta(seconds=seconds)
    raise InvalidRequest("The chosen time is none of those that were offered.")


def _covers(record: ConsentRecord, request: AuthorizationRequest) -> bool:
    return (
        request.scope <= record.scopes_granted
        and request.audience <= record.audience
        # Also what was promised about the limits has to hold
        and request.constraints.is_within(record.constraints)
    )
