"""Reading constraints back from where they were stored."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from delegation_app.protocol.constraints.base import (
    ALWAYS,
    AccessContext,
    Constraint,
    EnforcementPoint,
    InvalidConstraint,
)


@dataclass(frozen=True, slots=True)
class UnreadableConstraint(Constraint):
    """What was stored and can't be read any more, such as a type whose package is gone.

    It permits nothing, and is kept as it was. Nobody can ask for one: it is not registered.
    """

    TYPE: ClassVar[str] = "unreadable"
    ENFORCED_AT: ClassVar[frozenset[EnforcementPoint]] = ALWAYS

    text: str

    @classmethod
    def keeping(cls, value: object) -> Self:
        """Return one that keeps the stored JSON value."""
        return cls(json.dumps(value))

    @classmethod
    def parse(cls, members: Mapping[str, object]) -> Self:
        """Refuse: nobody can ask for one.

        Raises:
            InvalidConstraint: always.
        """
        del members
        raise InvalidConstraint(f"{cls.TYPE} is not a known constraint type.")

    def as_json(self) -> dict[str, Any]:
        """Return an object that no verifier knows."""
        return {"type": self.TYPE}

    def kept(self) -> list[dict[str, Any]]:
        """Return the list that was stored; in a token, no verifier knows all of it either."""
        value = json.loads(self.text)
        is_list = isinstance(value, list) and all(isinstance(item, dict) for item in value)
        return value if is_list else [self.as_json()]

    def narrowed(self, parent: Self) -> Self:
        """Return one of both: neither permits anything."""
        return min(self, parent, key=lambda constraint: constraint.text)

    def refusal(self, access: AccessContext) -> str | None:  # noqa: ARG002 - nothing is permitted
        """Refuse."""
        return "A constraint of this delegation is not known here."

    def describe(self) -> str:
        """Return the sentence for people."""
        return "It has a constraint that is not known here, so it permits nothing."
