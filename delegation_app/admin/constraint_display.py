"""Constraints and other stored JSON in the admin."""

from __future__ import annotations

import json

from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext as _

from delegation_app.protocol.constraints import Constraints


def as_list(constraints: Constraints) -> str:
    """Return a sentence for each, as a list."""
    sentences = constraints.describe()
    if not sentences:
        return _("None.")
    items = format_html_join("", "<li>{}</li>", ((sentence,) for sentence in sentences))
    return format_html('<ul class="delegation-limits">{}</ul>', items)


def as_text(value: object) -> str:
    """Return stored JSON, indented."""
    text = json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True)
    return format_html('<pre class="delegation-json">{}</pre>', text)
