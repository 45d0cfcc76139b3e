"""What a grant type is: a name, the parameters that it declares, and a handler."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from delegation_app.protocol.requests.parameters import Parameters
from delegation_app.services.audit import RequestContext
from delegation_app.services.clients.lookup import RegisteredClient
from delegation_app.services.tokens.issuing import Issued


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """A token request whose client is authenticated and allowed to use the grant.

    Attributes:
        client: who asks.
        parameters: the declared ones; no other reaches a grant.
        origin: the client as actor, and from where it asks.
    """

    client: RegisteredClient
    parameters: Parameters
    origin: RequestContext


class Grant(Protocol):
    """A module of this package."""

    TYPE: str
    PARAMETERS: frozenset[str]

    def handle(self, request: TokenRequest, /) -> Issued:
        """Redeem what the request brings, and issue.

        Raises:
            OAuthError: it is refused.
        """
