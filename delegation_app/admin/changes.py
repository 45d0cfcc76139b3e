"""What differs after a form was saved."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.forms import BaseForm


def changed_fields(form: BaseForm, formsets: Iterable[Any]) -> list[str]:
    """Return the names of the fields that changed, those of inlines under their model's name."""
    names = list(form.changed_data)
    for formset in formsets:
        model = formset.model._meta.model_name
        for inline in formset.forms:
            names += [f"{model}.{name}" for name in inline.changed_data]
    return names
