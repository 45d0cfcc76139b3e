"""A logo that needs no artist: three bars on a ground of one colour, as a PNG."""

import struct
import zlib
from typing import Final

Colour = tuple[int, int, int]

_SIDE: Final = 96
_WHITE: Final = (255, 255, 255)
# Where each bar starts, and how high it is
_BARS: Final = ((20, 28), (42, 44), (64, 60))
_WIDE: Final = 14
_FOOT: Final = 78


def png(ground: Colour) -> bytes:
    """Return the image."""
    rows = b"".join(
        # Each row starts with its filter: none
        b"\0" + b"".join(bytes(_at(x, y, ground)) for x in range(_SIDE))
        for y in range(_SIDE)
    )
    header = struct.pack(">IIBBBBB", _SIDE, _SIDE, 8, 2, 0, 0, 0)
    parts = (_chunk(b"IHDR", header), _chunk(b"IDAT", zlib.compress(rows, 9)), _chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _at(x: int, y: int, ground: Colour) -> Colour:
    is_bar = any(left <= x < left + _WIDE and _FOOT - height <= y < _FOOT for left, height in _BARS)
    return _WHITE if is_bar else ground


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
