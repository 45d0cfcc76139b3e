"""Token Status Lists (draft-ietf-oauth-status-list-20): one bit or a few for every token."""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from delegation_app.protocol.errors import InvalidToken

# Section 7.1
VALID: Final = 0
INVALID: Final = 1
SUSPENDED: Final = 2

# Section 4.1: "The allowed values for bits are 1, 2, 4 and 8"
_WIDTHS: Final = frozenset({1, 2, 4, 8})
_BYTE: Final = 8
# Section 4.1: "RECOMMENDED to use the highest compression level". A list is long runs of the same
# byte; searching for other patterns takes a hundred times as long and saves nothing.
_LEVEL: Final = 9
_STRATEGY: Final = zlib.Z_RLE
# Half a million entries of 8 bits, or 32 million of one
MAX_BYTES: Final = 4 * 1024 * 1024


class InvalidStatusList(ValueError):
    """A status list cannot be read; the text says why."""


@dataclass(frozen=True, slots=True)
class StatusReference:
    """The place of a token's status: the URL of a list and the index in it."""

    uri: str
    index: int

    @classmethod
    def of(cls, claims: Mapping[str, Any]) -> Self | None:
        """Return the reference in a token's claims; None if it has none (section 6.2).

        Raises:
            InvalidToken: it is malformed.
        """
        status = claims.get("status")
        if status is None:
            return None
        entry = status.get("status_list") if isinstance(status, dict) else None
        if not isinstance(entry, dict):
            raise InvalidToken("The access token is not valid.", detail="status")
        uri, index = entry.get("uri"), entry.get("idx")
        if not isinstance(uri, str) or type(index) is not int or index < 0:
            raise InvalidToken("The access token is not valid.", detail="status")
        return cls(uri, index)

    def claim(self) -> dict[str, Any]:
        """Return the value of the claim `status` (section 6.2)."""
        return {"status_list": {"idx": self.index, "uri": self.uri}}


@dataclass(frozen=True, slots=True)
class StatusList:
    """The statuses of many tokens, packed.

    Attributes:
        bits: the number of bits per token.
        packed: entry i in byte i·bits/8, the lowest bits first (section 4.1).
    """

    bits: int
    packed: bytes

    @classmethod
    def marking(cls, size: int, indices: Iterable[int]) -> Self:
        """Return a list of one bit for each token, in which those at `indices` are INVALID.

        Args:
            size: the number of tokens, a multiple of 8.
            indices: each below `size`.
        """
        packed = bytearray(size // _BYTE)
        for index in indices:
            packed[index >> 3] |= 1 << (index & 7)
        return cls(1, bytes(packed))

    @classmethod
    def of(cls, statuses: Sequence[int], *, bits: int) -> Self:
        """Return a list of `statuses`, each below 2 to the power of `bits`.

        Raises:
            InvalidStatusList: `bits` is not 1, 2, 4 or 8, or a status needs more.
        """
        if bits not in _WIDTHS or not all(0 <= status < 1 << bits for status in statuses):
            raise InvalidStatusList("a status does not fit")
        each = _BYTE // bits
        packed = bytearray(-(-len(statuses) // each))
        for index, status in enumerate(statuses):
            packed[index // each] |= status << (index % each * bits)
        return cls(bits, bytes(packed))

    @classmethod
    def parse(cls, members: object, *, max_bytes: int = MAX_BYTES) -> Self:
        """Read the value of the claim `status_list`.

        Args:
            members: a JSON value.
            max_bytes: the largest unpacked size; a longer list is not unpacked.

        Raises:
            InvalidStatusList: it is malformed or too long.
        """
        if not isinstance(members, dict):
            raise InvalidStatusList("it is not an object")
        bits, text = members.get("bits"), members.get("lst")
        if type(bits) is not int or bits not in _WIDTHS or not isinstance(text, str):
            raise InvalidStatusList("bits or lst is wrong")
        return cls(bits, _inflated(_decoded(text), max_bytes))

    def as_json(self) -> dict[str, Any]:
        """Return the value of the claim `status_list` (section 4.2)."""
        packing = zlib.compressobj(_LEVEL, strategy=_STRATEGY)
        deflated = packing.compress(self.packed) + packing.flush()
        return {"bits": self.bits, "lst": base64.urlsafe_b64encode(deflated).rstrip(b"=").decode()}

    def __len__(self) -> int:
        return len(self.packed) * (_BYTE // self.bits)

    def __getitem__(self, index: int) -> int:
        """Return the status at an index.

        Raises:
            IndexError: the list is shorter, or the index is negative.
        """
        if index < 0:
            raise IndexError(index)
        position = index * self.bits
        return self.packed[position >> 3] >> (position & 7) & ((1 << self.bits) - 1)


def _decoded(text: str) -> bytes:
    # Section 4.2: base64url without padding; the decoder would take these three as well
    if any(character in text for character in "=+/"):
        raise InvalidStatusList("lst is not base64url")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error) as error:
        raise InvalidStatusList("lst is not base64url") from error


def _inflated(deflated: bytes, max_bytes: int) -> bytes:
    # Section 4.1: DEFLATE in the zlib format; unpacking a bomb stops at the limit
    unpacking = zlib.decompressobj()
    try:
        packed = unpacking.decompress(deflated, max_bytes + 1)
    except zlib.error as error:
        raise InvalidStatusList("lst is not in the zlib format") from error
    if len(packed) > max_bytes:
        raise InvalidStatusList("lst is too long")
    if not unpacking.eof or unpacking.unused_data:
        raise InvalidStatusList("lst is truncated or has trailing bytes")
    return packed
