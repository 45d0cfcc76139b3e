"""The tree of a delegation as an SVG drawing: rows of boxes, joined by lines.

The nested list beside it has the same content for screen readers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from delegation_app.admin.delegations import summary
from delegation_app.admin.delegations.tree import Node, Tree

_ROW: Final = 56
_HEIGHT: Final = 44
_STEP: Final = 26
_WIDTH: Final = 330
_MARGIN: Final = 6
# In average characters; the list and the title have the full text
_NAME: Final = 30
_TERMS: Final = 46


@dataclass(frozen=True, slots=True)
class Box:
    """One delegation in the drawing. Lengths are in SVG units.

    Attributes:
        node: the delegation.
        x, y: its upper left corner.
        line: the path to its parent; empty for the root.
        shape: the path of the symbol of its state.
        name, terms: its text, cut to its width.
        said: the full text for screen readers.
    """

    node: Node
    x: int
    y: int
    line: str
    shape: SafeString
    name: str
    terms: str
    said: str

    @property
    def state(self) -> str:
        """The name of its state."""
        return self.node.state.value


@dataclass(frozen=True, slots=True)
class Drawing:
    """All boxes, and the size of the drawing."""

    boxes: Sequence[Box]
    width: int
    height: int
    box_width: int = _WIDTH
    box_height: int = _HEIGHT


def of(tree: Tree) -> Drawing:
    """Return the drawing of a tree."""
    levels = [*enumerate(tree.chain), *((len(tree.chain), node) for node in tree.children)]
    boxes = []
    for row, (level, node) in enumerate(levels):
        above = min(row, len(tree.chain)) - 1 if row else -1
        boxes.append(_box(node, level, row, above))
    deepest = levels[-1][0]
    return Drawing(boxes, 2 * _MARGIN + deepest * _STEP + _WIDTH, len(boxes) * _ROW)


def _box(node: Node, level: int, row: int, above: int) -> Box:
    x, y = _MARGIN + level * _STEP, row * _ROW + (_ROW - _HEIGHT) // 2
    line = ""
    if above >= 0:
        from_x = x - _STEP // 2
        from_y = above * _ROW + (_ROW + _HEIGHT) // 2
        line = f"M{from_x} {from_y}V{y + _HEIGHT // 2}H{x}"
    terms = _("%(scopes)s at %(audience)s") % {"scopes": node.scopes, "audience": node.audience}
    words = {"client": node.client, "whose": node.whose, "state": node.state_word, "terms": terms}
    said = _("%(client)s, %(whose)s, %(state)s: %(terms)s") % words
    if node.is_current:
        said = _("%(said)s (this one)") % {"said": said}
    return Box(
        node=node,
        x=x,
        y=y,
        line=line,
        shape=summary.shape(node.state),
        name=_cut(node.client, _NAME),
        terms=_cut(f"{node.state_word} · {terms}", _TERMS),
        said=said,
    )


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
