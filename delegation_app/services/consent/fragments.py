"""Sentences in pieces: names stay apart from the words around them, whatever is in a name."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

# A piece is its kind and its text. As JSON it is a list of two.
Piece = list[str]
PLAIN: Final = "plain"
NAME: Final = "name"
STRONG: Final = "strong"

_PLACE = re.compile(r"%\((\w+)\)s")
# Marks that turn the direction of what follows, and those that end an isolation from within
_TURNING: Final = frozenset(
    "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)


def fragments(sentence: str, **names: str) -> list[Piece]:
    """Return a translated sentence with its places filled in, each name a piece of its own."""
    parts = _PLACE.split(str(sentence))
    found = [
        [NAME, names[part]] if number % 2 else [PLAIN, part.replace("%%", "%")]
        for number, part in enumerate(parts)
    ]
    return [piece for piece in found if piece[1]]


def text_of(found: Iterable[Piece]) -> str:
    """Return pieces as one text."""
    return "".join(text for _kind, text in found)


def sanitize(name: object) -> str:
    """Return a name on one line, without marks that would act on what stands around it."""
    kept = (character for character in str(name) if character not in _TURNING)
    spaced = (" " if unicodedata.category(one) in {"Cc", "Zl", "Zp", "Cs"} else one for one in kept)
    return " ".join("".join(spaced).split())
