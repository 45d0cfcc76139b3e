"""resource_servers: the only resource servers of a delegation and its descendants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Self

from delegation_app.protocol.audience import Audience, is_absolute_uri
from delegation_app.protocol.constraints.base import (
    ALWAYS,
    AccessContext,
    Constraint,
    EnforcementPoint,
    InvalidConstraint,
    check_members,
    listed,
    strings,
)

MAX_IDENTIFIERS: Final = 100
MAX_LENGTH: Final = 2000


@dataclass(frozen=True, slots=True)
class ResourceServers(Constraint):
    """The allowed resource servers, a non-empty set."""

    TYPE: ClassVar[str] = "resource_servers"
    ENFORCED_AT: ClassVar[frozenset[EnforcementPoint]] = ALWAYS

    allowed: Audience

    @classmethod
    def parse(cls, members: Mapping[str, object]) -> Self:
        """Read `identifiers`, an array of absolute URIs (RFC 8707 section 2).

        Raises:
            InvalidConstraint: the members are not as described.
        """
        check_members(cls.TYPE, members, required=["identifiers"])
        identifiers = strings(
            cls.TYPE, "identifiers", members["identifiers"], limit=MAX_IDENTIFIERS
        )
        if not all(len(uri) <= MAX_LENGTH and is_absolute_uri(uri) for uri in identifiers):
            raise InvalidConstraint(
                "resource_servers: an identifier must be an absolute URI without a fragment."
            )
        return cls(Audience(identifiers))

    def as_json(self) -> dict[str, Any]:
        return {"type": self.TYPE, "identifiers": list(self.allowed)}

    def narrowed(self, parent: Self) -> Self:
        """Return the resource servers that both allow.

        Raises:
            InvalidConstraint: there is none.
        """
        both = Audience(set(self.allowed) & set(parent.allowed))
        if not both:
            raise InvalidConstraint("resource_servers: no resource server would be left.")
        return type(self)(both)

    def refusal(self, access: AccessContext) -> str | None:
        """Permit an access whose audience is known, not empty, and allowed as a whole."""
        if access.audience and access.audience <= self.allowed:
            return None
        return "It may not be used at this resource server."

    def describe(self) -> str:
        return f"Only at {listed(self.allowed)}."
