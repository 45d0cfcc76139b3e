"""What a person is asked, wherever the question comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from delegation_app.protocol import names
from delegation_app.protocol.audience import Audience
from delegation_app.protocol.constraints import Constraints
from delegation_app.protocol.scope import Scope
from delegation_app.services.clients.lookup import RegisteredClient
from delegation_app.services.delegations.terms import SignIn

# Stands for the redirect host where there is none; no host has brackets
ON_A_DEVICE: Final = "(device)"


@dataclass(frozen=True, slots=True)
class ConsentRequest:
    """What a person is asked.

    Attributes:
        client: who asks.
        sign_in: the person.
        scope, audience, constraints: what for, where, within which limits.
        grant_type: the grant that asks.
        leads_to: where the page says that the answer leads.
        request_digest: names the question; each is answered once.
        held: the part of the scope that was granted before, and is not asked about again.
        known: the part that was granted before, and is asked about again.
    """

    client: RegisteredClient
    sign_in: SignIn
    scope: Scope
    audience: Audience
    constraints: Constraints
    grant_type: str
    leads_to: str
    request_digest: str
    held: Scope = Scope()
    known: Scope = Scope()

    @property
    def offered(self) -> Scope:
        """What has a box to tick."""
        return self.scope - self.held

    @property
    def required(self) -> Scope:
        """What the app can't work without, of that which it asks for."""
        return self.scope & self.client.policy.required_scopes

    @property
    def is_on_a_device(self) -> bool:
        """Whether the answer goes to a device that shows a code."""
        return self.grant_type == names.DEVICE_CODE
