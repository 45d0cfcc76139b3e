"""Stored constraints that cannot be read."""

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
    """A stored value that cannot be read, such as a type of a removed package.

    It permits nothing, and is kept unchanged. It is not registered, so requests cannot contain it.
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
        """Refuse: a request cannot contain it.

        Raises:
            InvalidConstraint: always.
        """
        del members
        raise InvalidConstraint(f"{cls.TYPE} is not a known constraint type.")

    def as_json(self) -> dict[str, Any]:
        """Return an object that verifiers refuse."""
        return {"type": self.TYPE}

    def kept(self) -> list[dict[str, Any]]:
        """Return the stored list; verifiers refuse it in a token."""
        value = json.loads(self.text)
        is_list = isinstance(value, list) and all(isinstance(item, dict) for item in value)
        return value if is_list else [self.as_json()]

    def narrowed(self, parent: Self) -> Self:
        """Return one of both: neither permits anything."""
        return min(self, parent, key=lambda constraint: constraint.text)

    def refusal(self, access: AccessContext) -> str | None:  # noqa: ARG002 - nothing is permitted
        """Refuse."""
        return "A constraint of this delegation is unknown."

    def describe(self) -> str:
        return "It has an unknown constraint, so it permits nothing."
