"""Scope, and the immutable set of names that it shares with `Audience`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Self

from delegation_app.protocol.errors import InvalidScope
from delegation_app.protocol.secrets import masked

MAX_LISTED: Final = 120
# A page could take what is left out for markup
_NOT_SHOWN: Final = re.compile(r"[^A-Za-z0-9 ,._:/+*~\[\]-]")

# RFC 6749 section 3.3: scope-token = 1*( %x21 / %x23-5B / %x5D-7E )
_TOKEN = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")


@dataclass(frozen=True, slots=True, init=False)
class NameSet:
    """An immutable set of names that orders and prints the same everywhere."""

    names: tuple[str, ...]

    def __init__(self, names: Iterable[str] = ()) -> None:
        object.__setattr__(self, "names", tuple(sorted(set(names))))

    def __str__(self) -> str:
        return " ".join(self.names)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def __contains__(self, name: str) -> bool:
        return name in self.names

    def __le__(self, other: Self) -> bool:
        return set(self.names) <= set(other.names)

    def __and__(self, other: Self) -> Self:
        return type(self)(set(self.names) & set(other.names))

    def __or__(self, other: Self) -> Self:
        return type(self)(self.names + other.names)

    def __sub__(self, other: Self) -> Self:
        return type(self)(set(self.names) - set(other.names))


class Scope(NameSet):
    """The scope of a token, a request or a delegation."""

    __slots__ = ()

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

    def listed(self) -> str:
        """Return the names for an error description: masked, truncated and without markup."""
        text = _NOT_SHOWN.sub("?", masked(", ".join(self.names)))
        return text if len(text) <= MAX_LISTED else f"{text[:MAX_LISTED]}..."
