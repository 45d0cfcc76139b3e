"""Audience: the identifiers of the resource servers at which a token is valid."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, Self

from delegation_app.protocol.errors import InvalidTarget
from delegation_app.protocol.scope import NameSet

# RFC 3986 section 4.3: a scheme, then unreserved, reserved and escaped characters but no fragment
_ABSOLUTE_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[A-Za-z0-9._~:/?\[\]@!$&'()*+,;=%-]+")

_ROOT: Final = re.compile(r"(https?://[^/?#]+)/?")


def is_absolute_uri(text: str) -> bool:
    """Return whether `text` is an absolute URI without a fragment (RFC 8707 section 2)."""
    return bool(_ABSOLUTE_URI.fullmatch(text))


def other_spelling(identifier: str) -> str | None:
    """Return an http or https URI without a path with its final slash changed; None for others."""
    # RFC 3986 section 6.2.3: an empty path and "/" are the same
    if (root := _ROOT.fullmatch(identifier)) is None:
        return None
    return root[1] if identifier.endswith("/") else f"{identifier}/"


class Audience(NameSet):
    """The identifiers of resource servers."""

    __slots__ = ()

    @classmethod
    def parse(cls, resources: Iterable[str]) -> Self:
        """Read the values of `resource`.

        Raises:
            InvalidTarget: one is not an absolute URI, or has a fragment (RFC 8707 section 2).
        """
        values = tuple(resources)
        if not all(is_absolute_uri(value) for value in values):
            raise InvalidTarget("A resource must be an absolute URI without a fragment.")
        return cls(values)

    def claim(self) -> str | list[str]:
        """Return the value of `aud` (RFC 7519 section 4.1.3)."""
        return self.names[0] if len(self.names) == 1 else list(self.names)
