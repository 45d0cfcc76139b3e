"""max_uses: the total number of tokens of a delegation and its descendants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Self

from delegation_app.protocol.constraints.base import (
    AccessContext,
    Constraint,
    EnforcementPoint,
    check_members,
    integer,
)

MOST: Final = 2**31 - 1


@dataclass(frozen=True, slots=True)
class MaxUses(Constraint):
    """The number of tokens, at least 1. The issuing service counts; this only compares."""

    TYPE: ClassVar[str] = "max_uses"
    ENFORCED_AT: ClassVar[frozenset[EnforcementPoint]] = frozenset(
        {EnforcementPoint.ISSUE, EnforcementPoint.HAND_ON}
    )

    uses: int

    @classmethod
    def parse(cls, members: Mapping[str, object]) -> Self:
        """Read `uses`, an integer from 1 to 2147483647.

        Raises:
            InvalidConstraint: the members are not as described.
        """
        check_members(cls.TYPE, members, required=["uses"])
        return cls(integer(cls.TYPE, "uses", members["uses"], least=1, most=MOST))

    def as_json(self) -> dict[str, Any]:
        return {"type": self.TYPE, "uses": self.uses}

    def narrowed(self, parent: Self) -> Self:
        """Return the smaller of both."""
        return min(self, parent, key=lambda constraint: constraint.uses)

    def refusal(self, access: AccessContext) -> str | None:
        """Permit an access while the number of tokens is known and below the limit."""
        if access.uses is not None and access.uses < self.uses:
            return None
        return "The maximum number of uses has been reached."

    def describe(self) -> str:
        return f"At most {self.uses} token{'' if self.uses == 1 else 's'} in total."
