"""The base class of constraints, and strict JSON helpers.

The helpers repeat no input in an error except short plain names: descriptions go back to the sender
and into logs.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, ClassVar, Final, Self

from delegation_app.protocol.audience import Audience
from delegation_app.protocol.errors import InvalidRequest

_PLAIN_NAME = re.compile(r"[A-Za-z0-9_.-]{1,40}")


class EnforcementPoint(Enum):
    """Where a constraint is enforced."""

    ISSUE = "issue"
    """The token endpoint issues a token: code, refresh, client credentials or device."""

    HAND_ON = "hand_on"
    """An exchange issues a token on a child."""

    INTROSPECTION = "introspection"
    """A resource server introspects a token."""

    RESOURCE = "resource"
    """A resource server verifies a request."""


ALWAYS: Final = frozenset(EnforcementPoint)


@dataclass(frozen=True, slots=True)
class AccessContext:
    """The facts about one use of a delegation. None means unknown, which never permits.

    Args:
        moment: the enforcement point.
        now: an aware datetime.
        ip: address of the bearer.
        method: HTTP method of the request at the resource server.
        path: its path without the query, percent-decoded once, as frameworks provide it.
        audience: of the token, or the resource server that verifies.
        uses: number of tokens already issued on this delegation and below it.

    Raises:
        ValueError: `now` has no time zone.
    """

    moment: EnforcementPoint
    now: datetime
    ip: str | None = None
    method: str | None = None
    path: str | None = None
    audience: Audience | None = None
    uses: int | None = None

    def __post_init__(self) -> None:
        if self.now.utcoffset() is None:
            raise ValueError("an access needs an aware datetime")


class InvalidConstraint(InvalidRequest):
    """A constraint is malformed or unknown, or a narrowing leaves nothing."""


class Constraint(ABC):
    """One limit on a delegation, as an immutable value in canonical form.

    Subclasses are frozen slotted dataclasses, so that equal limits are equal values.
    """

    __slots__ = ()

    TYPE: ClassVar[str]
    """The member `type` of its JSON object."""

    ENFORCED_AT: ClassVar[frozenset[EnforcementPoint]]
    """The points at which it is enforced."""

    @classmethod
    @abstractmethod
    def parse(cls, members: Mapping[str, object]) -> Self:
        """Read the members of a JSON object, with or without `type`.

        Raises:
            InvalidConstraint: a member is unknown, missing, or has a value that is not allowed.
        """

    @abstractmethod
    def as_json(self) -> dict[str, Any]:
        """Return the JSON object with `type`; `parse` reads it back as an equal value."""

    @abstractmethod
    def narrowed(self, parent: Self) -> Self:
        """Return the constraint that permits exactly what both permit.

        Raises:
            InvalidConstraint: the intersection is empty, or exceeds a size limit.
        """

    def for_child(self) -> Self:
        """Return what a child delegation inherits."""
        return self

    @abstractmethod
    def refusal(self, access: AccessContext) -> str | None:
        """Check an access at one of the points in `ENFORCED_AT`.

        Returns:
            None if it is permitted, else one short public sentence.
        """

    @abstractmethod
    def describe(self) -> str:
        """Return one sentence, in one line, for users and operators."""


def check_members(
    kind: str,
    members: Mapping[str, object],
    *,
    required: Collection[str] = (),
    optional: Collection[str] = (),
    nested: bool = False,
) -> None:
    """Refuse an object with a missing or unknown member.

    Args:
        kind: the constraint type, for the error.
        members: the JSON object.
        required: required names.
        optional: optional names.
        nested: whether the object is inside the constraint, without a `type`.

    Raises:
        InvalidConstraint: see above.
    """
    known = {*required, *optional} if nested else {"type", *required, *optional}
    if not nested and members.get("type", kind) != kind:
        raise InvalidConstraint(f"{kind}: the object has another type.")
    for name in members:
        if name not in known:
            raise InvalidConstraint(f"{kind}: {shown(name)} is not a known member.")
    for name in required:
        if name not in members:
            raise InvalidConstraint(f"{kind}: {name} is missing.")


def objects(kind: str, name: str, value: object, *, limit: int) -> list[dict[str, object]]:
    """Return `value` if it is an array of 1 to `limit` JSON objects.

    Raises:
        InvalidConstraint: it is anything else.
    """
    items = _array(kind, name, value, limit)
    if not all(isinstance(item, dict) for item in items):
        raise InvalidConstraint(f"{kind}: {name} must contain objects only.")
    return items


def strings(kind: str, name: str, value: object, *, limit: int) -> list[str]:
    """Return `value` if it is an array of 1 to `limit` strings.

    Raises:
        InvalidConstraint: it is anything else.
    """
    items = _array(kind, name, value, limit)
    if not all(isinstance(item, str) for item in items):
        raise InvalidConstraint(f"{kind}: {name} must contain strings only.")
    return items


def integer(kind: str, name: str, value: object, *, least: int, most: int) -> int:
    """Return `value` if it is an integer from `least` to `most`.

    Raises:
        InvalidConstraint: it is anything else; true and false are no integers in JSON.
    """
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise InvalidConstraint(f"{kind}: {name} must be an integer from {least} to {most}.")
    return value


def shown(name: object) -> str:
    """Return `name` for a public error: itself only if it is short and plain."""
    return name if isinstance(name, str) and _PLAIN_NAME.fullmatch(name) else "a name"


def listed(items: Iterable[str], last: str = "or") -> str:
    """Join `items` as English does: "a, b or c"."""
    *first, final = items
    return f"{', '.join(first)} {last} {final}" if first else final


def _array(kind: str, name: str, value: object, limit: int) -> list[Any]:
    if not isinstance(value, list) or not 1 <= len(value) <= limit:
        raise InvalidConstraint(f"{kind}: {name} must be an array of 1 to {limit} members.")
    return value
