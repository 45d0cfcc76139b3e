"""The request to a user, by a browser or by a device."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

from delegation_app.models import DeviceCode
from delegation_app.protocol import names
from delegation_app.protocol.audience import Audience
from delegation_app.protocol.constraints import Constraints
from delegation_app.protocol.errors import RedirectTarget
from delegation_app.protocol.scope import Scope
from delegation_app.protocol.secrets import digest
from delegation_app.services.clients.registered_client import RegisteredClient
from delegation_app.services.delegations.terms import SignIn

# Stands for the redirect host where there is none; no host has brackets
ON_A_DEVICE: Final = "(device)"


@dataclass(frozen=True, slots=True)
class ConsentRequest:
    """A client's validated request to a user.

    Attributes:
        client: the client that requests it.
        sign_in: the user.
        scope, audience, constraints: the requested scopes, resource servers and limits.
        grant_type: the grant that requests it.
        handle: the secret that names a browser's request. Each request is answered once.
        target: where the response to a browser goes; None for a device.
        code_challenge: the S256 challenge of a browser's request (RFC 7636).
        prompts, max_age: how the user is prompted, and for how long a sign-in is fresh, in
            seconds (OpenID Connect Core 3.1.2.1).
        device: the device that waits; None for a browser.
        already_granted: the part of the scope that was granted before, and has no checkbox.
        previously_granted: the part that was granted before, and is prompted for again.
    """

    client: RegisteredClient
    sign_in: SignIn
    scope: Scope
    audience: Audience
    constraints: Constraints
    grant_type: str
    handle: str = ""
    target: RedirectTarget | None = None
    code_challenge: str = ""
    prompts: frozenset[str] = frozenset()
    max_age: int | None = None
    device: DeviceCode | None = None
    already_granted: Scope = Scope()
    previously_granted: Scope = Scope()

    @property
    def selectable(self) -> Scope:
        """The scopes that have a checkbox."""
        return self.scope - self.already_granted

    @property
    def required(self) -> Scope:
        """The requested scopes without which the client cannot work."""
        return self.scope & self.client.policy.required_scopes

    @property
    def is_on_a_device(self) -> bool:
        """Whether the answer goes to a device that shows a code."""
        return self.grant_type == names.DEVICE_CODE

    @property
    def redirect_host(self) -> str:
        """The redirect URI as the screen shows it: its host, or the scheme of an app."""
        if self.target is None:
            return ON_A_DEVICE
        parts = urlsplit(self.target.uri)
        return parts.hostname or f"{parts.scheme}:"

    @property
    def digest(self) -> str:
        """The digest of the request's secret, for the consent record."""
        return digest(self.handle) if self.device is None else self.device.digest

    def requires_sign_in(self, now: datetime) -> bool:
        """Whether the user has to sign in again."""
        age = (now - self.sign_in.auth_time).total_seconds()
        if self.max_age is not None and age > self.max_age:
            return True
        return bool(self.prompts & {"login", "select_account"})

    def to_json(self) -> dict[str, Any]:
        """Return JSON members, for storage beside the handle."""
        return {
            "client_id": self.client.client_id,
            "scope": list(self.scope),
            "audience": list(self.audience),
            "constraints": self.constraints.as_json(),
            "target": None if self.target is None else asdict(self.target),
            "code_challenge": self.code_challenge,
            "prompts": sorted(self.prompts),
            "device": None if self.device is None else self.device.pk,
            "already_granted": list(self.already_granted),
            "previously_granted": list(self.previously_granted),
        }
