"""A keyed permutation of the numbers below a power of two, without a table of all of them."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import shake_256
from typing import Final

# With halves this short, a few hundred known pairs distinguish four rounds from chance
_ROUNDS: Final = 6
_MAX_BITS: Final = 32


@dataclass(frozen=True, slots=True)
class Permutation:
    """A bijection of the numbers below 2 to the power of `bits`; see `permutation`."""

    bits: int
    _tables: tuple[tuple[int, ...], ...] = field(repr=False)

    def __call__(self, position: int) -> int:
        """Return the image of a position.

        Raises:
            IndexError: it is negative or too large.
        """
        if not 0 <= position < 1 << self.bits:
            raise IndexError(position)
        return next(self.each((position,)))

    def each(self, positions: Iterable[int]) -> Iterator[int]:
        """Yield the image of each position, without a check: there may be a million of them."""
        half = self.bits // 2
        mask = (1 << half) - 1
        for position in positions:
            left, right = position >> half, position & mask
            # A Feistel network: each round is reversible, so no two positions collide
            for table in self._tables:
                left, right = right, left ^ table[right]
            yield left << half | right


@lru_cache(maxsize=64)
def permutation(key: bytes, tweak: int, bits: int) -> Permutation:
    """Return the permutation of a key and a tweak; another key or tweak is unrelated.

    Args:
        key: 32 secret bytes.
        tweak: a number below 2 to the power of 64 that need not be secret.
        bits: the length of the numbers, even and at most 32.
    """
    if bits % 2 or not 0 < bits <= _MAX_BITS:
        raise ValueError(f"{bits} is odd or too large")
    return Permutation(bits, tuple(_table(key, tweak, n, bits // 2) for n in range(_ROUNDS)))


def _table(key: bytes, tweak: int, number: int, half: int) -> tuple[int, ...]:
    size = 1 << half
    # The lengths are fixed, so no two inputs concatenate to the same bytes
    seed = key + tweak.to_bytes(8, "big") + bytes((number, half))
    values = struct.unpack(f">{size}H", shake_256(seed).digest(2 * size))
    return tuple(value & (size - 1) for value in values)
