"""The transient request of the authorization endpoint, as it is kept on the server."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from delegation_app.protocol.audience import Audience
from delegation_app.protocol.constraints import Constraints
from delegation_app.protocol.errors import RedirectTarget
from delegation_app.protocol.scope import Scope


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """A validated authorization request.

    Attributes:
        client_id: the requesting client.
        target: the redirect target of the response.
        scope: the requested scope.
        audience: the requested resource servers.
        code_challenge: the S256 challenge (RFC 7636).
        constraints: the limits of the client's policy and of the request.
    """

    client_id: str
    target: RedirectTarget
    scope: Scope
    audience: Audience
    code_challenge: str
    constraints: Constraints = Constraints()

    def to_json(self) -> dict[str, Any]:
        """Return JSON members, for storage."""
        return {
            **{field.name: getattr(self, field.name) for field in fields(self)},
            "target": asdict(self.target),
            "scope": list(self.scope),
            "audience": list(self.audience),
            "constraints": self.constraints.as_json(),
        }

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Self:
        """Return the request that `to_json` wrote."""
        return cls(
            **{
                **stored,
                "target": RedirectTarget(**stored["target"]),
                "scope": Scope(stored["scope"]),
                "audience": Audience(stored["audience"]),
                "constraints": Constraints.parse(stored.get("constraints", [])),
            }
        )
