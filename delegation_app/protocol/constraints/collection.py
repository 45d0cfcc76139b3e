"""The constraints of one delegation, all of which apply."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, NoReturn, Self

from delegation_app.protocol.constraints.base import (
    AccessContext,
    Constraint,
    EnforcementPoint,
    InvalidConstraint,
    shown,
)
from delegation_app.protocol.constraints.registry import REGISTRY
from delegation_app.protocol.constraints.unreadable import UnreadableConstraint

MAX_CONSTRAINTS: Final = 20
MAX_BYTES: Final = 4096


@dataclass(frozen=True, slots=True, init=False)
class Constraints:
    """An immutable conjunction of constraints, one for each type, ordered by type.

    Args:
        constraints: any; two of one type are intersected.

    Raises:
        InvalidConstraint: an empty intersection, or too many types.
    """

    members: tuple[Constraint, ...]

    def __init__(self, constraints: Iterable[Constraint] = ()) -> None:
        by_type: dict[str, Constraint] = {}
        for constraint in constraints:
            held = by_type.get(constraint.TYPE)
            by_type[constraint.TYPE] = constraint if held is None else constraint.narrowed(held)
        if len(by_type) > MAX_CONSTRAINTS:
            raise _too_many()
        object.__setattr__(self, "members", tuple(by_type[kind] for kind in sorted(by_type)))

    @classmethod
    def parse(cls, value: object) -> Self:
        """Read a JSON array of constraint objects.

        Raises:
            InvalidConstraint: it is anything else, or a type is not known.
        """
        if not isinstance(value, list):
            raise InvalidConstraint("The constraints must be an array.")
        if len(value) > MAX_CONSTRAINTS:
            raise _too_many()
        return cls([_parse_one(item) for item in value])

    @classmethod
    def stored(cls, value: object) -> Self:
        """Read the output of `as_json` from the database, possibly of an earlier version.

        Returns:
            The constraints; unreadable ones permit nothing, with the stored value as `as_json`.
        """
        try:
            return cls.parse(value)
        except InvalidConstraint:
            return cls([UnreadableConstraint.keeping(value)])

    def as_json(self) -> list[dict[str, Any]]:
        """Return the JSON array; `parse` reads it back as an equal value."""
        return _as_json(self.members)

    def claim(self) -> list[dict[str, Any]]:
        """Return the JSON array of those enforced by resource servers, for an access token."""
        return _as_json(
            member for member in self.members if EnforcementPoint.RESOURCE in member.ENFORCED_AT
        )

    def __iter__(self) -> Iterator[Constraint]:
        return iter(self.members)

    def __len__(self) -> int:
        return len(self.members)

    def get(self, kind: str) -> Constraint | None:
        """Return the constraint of the type `kind`, or None."""
        return next((member for member in self.members if kind == member.TYPE), None)

    def narrowed(self, by: Constraints) -> Constraints:
        """Return the intersection.

        Raises:
            InvalidConstraint: an empty intersection of one type, or too large a result.
        """
        return Constraints((*by.members, *self.members))

    def for_child(self) -> Constraints:
        """Return what a child delegation inherits."""
        return Constraints(constraint.for_child() for constraint in self.members)

    def is_within(self, parent: Constraints) -> bool:
        """Whether this is at least as narrow as `parent`.

        Two time zones with equal hours count as different.
        """
        try:
            return parent.narrowed(by=self) == self
        except InvalidConstraint:
            return False

    def refusal(self, access: AccessContext) -> str | None:
        """Check an access against the constraints enforced at its point.

        Returns:
            None if all permit it, else the sentence of the first refusal.
        """
        judged = (member for member in self.members if access.moment in member.ENFORCED_AT)
        sentences = (constraint.refusal(access) for constraint in judged)
        return next((sentence for sentence in sentences if sentence is not None), None)

    def describe(self) -> list[str]:
        """Return one sentence for each constraint."""
        return [constraint.describe() for constraint in self.members]


def parse_text(text: str) -> Constraints:
    """Read the JSON text of a request parameter.

    Args:
        text: an array of constraint objects in at most 4 KiB of UTF-8.

    Raises:
        InvalidConstraint: it is anything else.
    """
    if len(text) > MAX_BYTES or len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise InvalidConstraint(f"The constraints are longer than {MAX_BYTES} bytes.")
    try:
        value = json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_refuse_constant,
        )
    # Deep nesting raises RecursionError, a long number ValueError
    except (ValueError, RecursionError) as error:
        raise InvalidConstraint("The constraints are not valid JSON.") from error
    return Constraints.parse(value)


def _as_json(members: Iterable[Constraint]) -> list[dict[str, Any]]:
    answer: list[dict[str, Any]] = []
    for member in members:
        answer += member.kept() if isinstance(member, UnreadableConstraint) else [member.as_json()]
    return answer


def _parse_one(item: object) -> Constraint:
    if not isinstance(item, dict):
        raise InvalidConstraint("A constraint must be an object.")
    kind = item.get("type")
    if not isinstance(kind, str):
        raise InvalidConstraint("A constraint needs a type.")
    known = REGISTRY.get(kind)
    if known is None:
        raise InvalidConstraint(f"{shown(kind)} is not a known constraint type.")
    return known.parse(item)


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    # RFC 8259 section 4: what a repeated name means depends on who reads it
    members = dict(pairs)
    if len(members) != len(pairs):
        raise InvalidConstraint("A member stands twice in an object of the constraints.")
    return members


def _refuse_constant(_: str) -> NoReturn:
    # RFC 8259 section 6: NaN and Infinity are not JSON, though Python reads them
    raise ValueError("not a number")


def _too_many() -> InvalidConstraint:
    return InvalidConstraint(f"There are more than {MAX_CONSTRAINTS} constraints.")
