"""The form field of constraints, with examples."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from delegation_app.protocol.constraints import (
    REGISTRY,
    Constraints,
    InvalidConstraint,
    parse_text,
)

# One of each type, to copy
EXAMPLES: Final[tuple[Mapping[str, Any], ...]] = (
    {"type": "ip_range", "networks": ["192.0.2.0/24"]},
    {"type": "max_depth", "depth": 1},
    {"type": "max_uses", "uses": 10},
    {"type": "resource_path", "rules": [{"methods": ["GET"], "prefixes": ["/metrics"]}]},
    {"type": "resource_servers", "identifiers": ["https://service.example.com"]},
    {
        "type": "time_window",
        "weekly": [{"days": ["mon", "tue"], "from": "08:00", "to": "18:00"}],
        "time_zone": "Europe/Berlin",
    },
)


class ConstraintsFormField(forms.CharField):
    """Constraints as a JSON array.

    Attributes:
        stored: the stored value. Unchanged it is valid even if its type is no longer installed: it
            permits nothing, and must not block saving other fields.
    """

    stored: Constraints = Constraints()

    def __init__(self, **kwargs: Any) -> None:
        attributes = {"rows": 4, "class": "vLargeTextField delegation-code", "spellcheck": "false"}
        super().__init__(widget=forms.Textarea(attrs=attributes), **kwargs)
        self.help_text = _constraints_help(str(self.help_text))

    def prepare_value(self, value: Any) -> str:
        if not isinstance(value, Constraints):
            return "" if value is None else str(value)
        lines = [json.dumps(item, ensure_ascii=False) for item in value.as_json()]
        return "[\n{}\n]".format(",\n".join(f"  {line}" for line in lines)) if lines else ""

    def to_python(self, value: Any) -> Constraints:  # type: ignore[override]  # not a text
        if isinstance(value, Constraints):
            return value
        text = str(super().to_python(value))
        if not text:
            return Constraints()
        if text.split() == self.prepare_value(self.stored).split():
            return self.stored
        try:
            return parse_text(text)
        except InvalidConstraint as error:
            raise ValidationError(error.description, code="invalid") from error

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return self.to_python(data) != (initial or Constraints())
        except ValidationError:
            return True


def _constraints_help(first: str) -> SafeString:
    examples = format_html_join(
        "",
        "<li>{} <code>{}</code></li>",
        (
            (REGISTRY[example["type"]].parse(example).describe(), json.dumps(example))
            for example in EXAMPLES
        ),
    )
    return format_html(
        '{} {} <details class="delegation-examples"><summary>{}</summary><ul>{}</ul></details>',
        first,
        _("A JSON array of objects, all of which apply. Empty: none."),
        _("Examples, to be placed between [ and ]"),
        examples,
    )
