"""Scope: a set of names that orders and prints the same everywhere."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Self

from delegation_app.protocol.errors import InvalidScope
from delegation_app.protocol.secrets import masked

# As much of a list of names as fits into the description of an error
_LONGEST_LIST: Final = 120
# What is sent is not repeated where a page could take it for markup
_NOT_SHOWN: Final = re.compile(r"[^A-Za-z0-9 ,._:/+*~\[\]-]")

# RFC 6749 section 3.3: scope-token = 1*( %x21 / %x23-5B / %x5D-7E )
_TOKEN = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")


@dataclass(frozen=True, slots=True, init=False)
class Scope:
    """What may be done, as an immutable set of scope names in sorted order."""

    names: tuple[str, ...]

    def __init__(self, names: Iterable[str] = ()) -> None:
        object.__setattr__(self, "names", tuple(sorted(set(names))))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a space-separated list.

        Raises:
            InvalidScope: a name has a character that RFC 6749 section 3.3 does not allow.
        """
        names = text.split(" ")
        if not all(_TOKEN.fullmatch(name) for name in names if name):
            raise InvalidScope("The scope contains characters that are not allowed.")
        return cls(name for name in names if name)

    def __str__(self) -> str:
        return " ".join(self.names)

    def listed(self) -> str:
        """Return the names for the description of an error: masked, cut, and without markup."""
        text = _NOT_SHOWN.sub("?", masked(", ".join(self.names)))
        return text if len(text) <= _LONGEST_LIST else f"{text[:_LONGEST_LIST]}..."

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def __contains__(self, name: str) -> bool:
        return name in self.names

    def __le__(self, other: Scope) -> bool:
        return set(self.names) <= set(other.names)

    def __and__(self, other: Scope) -> Scope:
        return Scope(set(self.names) & set(other.names))

    def __or__(self, other: Scope) -> Scope:
        return Scope(self.names + other.names)

    def __sub__(self, other: Scope) -> Scope:
        return Scope(set(self.names) - set(other.names))
