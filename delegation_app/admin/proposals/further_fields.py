"""Changed fields whose values are not recorded."""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import Any

from django.forms import BaseForm

from delegation_app.models import ClientPolicy


def further_fields(form: BaseForm, formsets: Iterable[Any], known: Container[str]) -> list[str]:
    """Return the names of changed fields that the site added, inlines by their model.

    Args:
        form: the form of the page.
        formsets: its inlines.
        known: the names whose values are recorded.
    """
    names = [name for name in form.changed_data if name not in known]
    for formset in formsets:
        if formset.model is not ClientPolicy:
            model = formset.model._meta.model_name
            names += [f"{model}.{name}" for inline in formset.forms for name in inline.changed_data]
    return names
