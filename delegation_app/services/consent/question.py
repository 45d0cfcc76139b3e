"""The question in front of a person: whether it has to be asked, and what it shows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import urlsplit

from django.utils.translation import gettext_lazy as _

from delegation_app import toolkit
from delegation_app.protocol import names
from delegation_app.protocol.requests.authorization_request import AuthorizationRequest
from delegation_app.protocol.scope import Scope
from delegation_app.protocol.secrets import digest
from delegation_app.services.clients.lookup import RegisteredClient
from delegation_app.services.consent import history
from delegation_app.services.consent.request import ConsentRequest
from delegation_app.services.delegations.terms import SignIn

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
        still = history.granted(self.asked) if held else Scope()
        return replace(self, held=held & still, known=known)

    def looked_back(self, *, whole: bool) -> ConsentQuestion:
        """Return it with what was granted before; see `prior.looked_back`."""
        found = history.with_previous_grants(self.asked, whole=whole)
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
        return history.must_allow(question.asked)
    # RFC 8252 section 8.6: anybody can claim to be a public client, so it is asked about each time
    if client.policy.always_ask or not client.is_confidential:
        return True
    return history.find_covering_consent(question.asked) is None


def redirect_host(request: AuthorizationRequest) -> str:
    """Return what the page shows of the redirect URI: its host, or the scheme of an app."""
    parts = urlsplit(request.target.uri)
    return parts.hostname or f"{parts.scheme}:"


def descriptions(scope: Scope) -> list[tuple[str, str]]:
    """Return the scopes with the site's words for them."""
    known = toolkit.all_scopes()
    return [(name, str(known.get(name, name))) for name in scope]
