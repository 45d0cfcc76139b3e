"""Changes of the registry as text: each field with its old and new value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.core.exceptions import FieldDoesNotExist
from django.db.models import Model
from django.utils.functional import Promise
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from delegation_app import toolkit
from delegation_app.models import ClientPolicy, ResourceServer
from delegation_app.protocol.constraints import Constraints
from delegation_app.services.clients import grant_types
from delegation_app.services.clients.snapshots import INTROSPECTS, LOGO, POLICY

_LONGEST: Final = 200
_LABELS: Final[Mapping[str, Promise]] = {
    LOGO: gettext_lazy("logo"),
    INTROSPECTS: gettext_lazy("may introspect for"),
    "blocked": gettext_lazy("blocked"),
    "subject": gettext_lazy("subject"),
    "scopes": gettext_lazy("scopes"),
    "audience": gettext_lazy("audience"),
}


@dataclass(frozen=True, slots=True)
class Changed:
    """A changed field with both values as text.

    Attributes:
        name: the recorded name.
        label: the label of the field.
        before, after: empty if the row is new or deleted.
    """

    name: str
    label: str
    before: str
    after: str

    def __str__(self) -> str:
        if not self.before or not self.after:
            return f"{self.label}: {self.before or self.after}"
        return f"{self.label}: {self.before} → {self.after}"


def of(details: Mapping[str, Any]) -> list[Changed]:
    """Return the changed fields in the details of an audit event or proposal."""
    before, after = (_mapping(details.get(name)) for name in ("before", "after"))
    is_server = "resource_server" in {*details, details.get("kind")}
    model = ResourceServer if is_server else toolkit.application_model()
    found = [
        Changed(name, _label(model, name), _side(before, name), _side(after, name))
        for name in sorted({*before, *after})
    ]
    return [*found, *_unrecorded(model, details, {*before, *after})]


def short(details: Mapping[str, Any]) -> str:
    """Return a change in one line."""
    texts = "; ".join(map(str, of(details)))
    text = f"{details.get('change', '')}: {texts}".strip(": ")
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _unrecorded(
    model: type[Model], details: Mapping[str, Any], known: set[str]
) -> Iterator[Changed]:
    # Secrets and fields of the site: by name only
    fields = details.get("fields")
    for name in fields if isinstance(fields, list) else ():
        if name not in known:
            yield Changed(str(name), _label(model, str(name)), "", _("changed"))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _label(model: type[Model], name: str) -> str:
    if name in _LABELS:
        return capfirst(str(_LABELS[name]))
    if name.startswith(POLICY):
        model, name = ClientPolicy, name.removeprefix(POLICY)
    try:
        column: Any = model._meta.get_field(name)
    except FieldDoesNotExist:
        return name
    return capfirst(str(getattr(column, "verbose_name", name)))


def _side(values: Mapping[str, Any], name: str) -> str:
    return _text(name, values[name]) if name in values else ""


def _text(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if value in (None, "", []):
        return _("nothing")
    if name == f"{POLICY}constraints":
        return " ".join(Constraints.stored(value).describe())
    if isinstance(value, list):
        is_grants = name == f"{POLICY}grants"
        return ", ".join(grant_types.label(str(each)) if is_grants else str(each) for each in value)
    return str(value)
