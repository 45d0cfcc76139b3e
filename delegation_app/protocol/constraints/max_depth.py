"""max_depth: how many more times a delegation may be delegated onward."""

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

MOST: Final = 32


@dataclass(frozen=True, slots=True)
class MaxDepth(Constraint):
    """The number of further generations, 0 to 32."""

    TYPE: ClassVar[str] = "max_depth"
    ENFORCED_AT: ClassVar[frozenset[EnforcementPoint]] = frozenset({EnforcementPoint.HAND_ON})

    depth: int

    @classmethod
    def parse(cls, members: Mapping[str, object]) -> Self:
        """Read `depth`, an integer from 0 to 32.

        Raises:
            InvalidConstraint: the members are not as described.
        """
        check_members(cls.TYPE, members, required=["depth"])
        return cls(integer(cls.TYPE, "depth", members["depth"], least=0, most=MOST))

    def as_json(self) -> dict[str, Any]:
        return {"type": self.TYPE, "depth": self.depth}

    def narrowed(self, parent: Self) -> Self:
        """Return the smaller of both."""
        return min(self, parent, key=lambda constraint: constraint.depth)

    def for_child(self) -> Self:
        """Return one less; at 0 the exchange has been refused before."""
        return type(self)(max(self.depth - 1, 0))

    def refusal(self, access: AccessContext) -> str | None:  # noqa: ARG002 - the depth alone decides
        """Refuse when no generation is left."""
        return None if self.depth else "It may not be delegated any further."

    def describe(self) -> str:
        if not self.depth:
            return "It may not be delegated onward."
        times = "once" if self.depth == 1 else f"{self.depth} times in a row"
        return f"It may be delegated onward at most {times}."
