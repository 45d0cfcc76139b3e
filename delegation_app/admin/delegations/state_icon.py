"""States as shapes: who does not tell the colours apart tells the shapes, and there is a word."""

from __future__ import annotations

from typing import Final

from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from delegation_app.admin.delegations import summary
from delegation_app.models import Delegation

_State = Delegation.State

# Each in a square of 14 units; nothing that anybody typed comes near these
_PATHS: Final = {
    _State.LIVE: "M7 1a6 6 0 1 0 0 12a6 6 0 1 0 0-12z",
    _State.SUSPENDED: "M2 1h4v12h-4zM8 1h4v12h-4z",
    _State.EXPIRED: "M7 0l7 7l-7 7l-7-7z",
    _State.REVOKED: "M1 3l2-2l4 4l4-4l2 2l-4 4l4 4l-2 2l-4-4l-4 4l-2-2l4-4z",
}


def shape(state: Delegation.State) -> SafeString:
    """Return the path of a state, for an SVG of 14 units a side."""
    return mark_safe(f'<path d="{_PATHS[state]}"/>')  # noqa: S308 - constants of ours


def mark(state: Delegation.State) -> SafeString:
    """Return the state as a shape and a word."""
    return format_html(
        '<span class="delegation-mark delegation-{}">'
        '<svg viewBox="0 0 14 14" width="12" height="12" aria-hidden="true" focusable="false">{}'
        "</svg> {}</span>",
        state.value,
        shape(state),
        summary.state_word(state),
    )
