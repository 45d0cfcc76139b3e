"""The interface of a grant type: a name, the parameters that it declares, and a handler."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

from delegation_app.protocol.requests.parameters import Parameters
from delegation_app.services.audit import RequestContext
from delegation_app.services.clients.registered_client import RegisteredClient
from delegation_app.services.tokens.issuing import Issued, TokenParameters


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """A token request of an authenticated client that may use the grant.

    Attributes:
        client: the authenticated client.
        parameters: the declared parameters; no other reaches a grant.
        origin: the client as actor, and the origin of the request.
    """

    client: RegisteredClient
    parameters: Parameters
    origin: RequestContext

    def part_of(self, granted: TokenParameters) -> TokenParameters:
        """Return the part of what was granted that `resource` and `scope` name.

        Raises:
            InvalidTarget: a resource was not granted or is no longer available.
            InvalidScope: nothing of the scope is left.
        """
        delegation = granted.delegation
        reach = granted.audience & delegation.audience
        audience = self.client.narrowed_audience(self.parameters.all("resource"), reach)
        # RFC 6749 section 3.3: the rest may be less, and the response says so
        scope = self.client.wanted_scope(
            self.parameters.get("scope"), granted.scope & delegation.scopes, audience
        )
        return replace(granted, scope=scope, audience=audience)


class Grant(Protocol):
    """A module of this package."""

    TYPE: str
    PARAMETERS: frozenset[str]

    def handle(self, request: TokenRequest, /) -> Issued:
        """Redeem what the request presents, and issue tokens.

        Raises:
            OAuthError: the request is refused.
        """
