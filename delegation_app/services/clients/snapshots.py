"""The state of clients and resource servers as JSON values, for the audit trail.

Secrets are excluded: only the fact that one changed is recorded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from django.db import models

from delegation_app import toolkit
from delegation_app.models import ClientLogo, ClientPolicy, ResourceServer
from delegation_app.protocol.claims import user_subject
from delegation_app.protocol.constraints import Constraints
from delegation_app.protocol.scope import Scope
from delegation_app.services.clients import lookup
from delegation_app.services.transactions import database

# A policy is edited on the page of its application, so its fields are prefixed
POLICY: Final = "clientpolicy."
LOGO: Final = f"{POLICY}logo"
# Set on the resource server, but a permission of the client
INTROSPECTS: Final = "introspectable_resource_servers"

# A site's own application model may have further columns and form fields
_SECRET = re.compile(r"secret|token|passw|private|api_?key", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class RegistryState:
    """A row of the registry with its related values.

    Attributes:
        values: JSON values by field name.
        secrets: the stored form of each secret, for comparison only.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Diff:
    """The differences of two states.

    Attributes:
        before, after: the values of the fields that differ, by name.
        secrets: the names of the secrets that differ.
    """

    before: Mapping[str, Any] = field(default_factory=dict)
    after: Mapping[str, Any] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()

    @property
    def fields(self) -> list[str]:
        """The names of all changed fields."""
        return sorted({*self.before, *self.after, *self.secrets})


def is_secret(model: type[models.Model], name: str) -> bool:
    """Whether the values of a field must not be recorded."""
    is_ours = model in {ClientPolicy, ResourceServer}
    return not is_ours and name != "hash_client_secret" and bool(_SECRET.search(name))


def client(pk: Any) -> RegistryState | None:
    """Return the state of an application and its policy, stored or derived; None if deleted.

    Side effects: locks the application's row. Call it inside a transaction.
    """
    rows = toolkit.application_model()._default_manager.using(database())
    row = rows.select_for_update().filter(pk=pk).first()
    if row is None:
        return None
    introspects = row.introspectable_resource_servers.using(database())
    values = {
        **_values(row),
        **{f"{POLICY}{name}": value for name, value in _policy_of(row).items()},
        LOGO: _logo_of(pk),
        INTROSPECTS: sorted(introspects.values_list("identifier", flat=True)),
    }
    return RegistryState(values, _secrets(row))


def resource_server(pk: Any) -> RegistryState | None:
    """Return the state of a resource server; None if deleted.

    Side effects: locks its row. Call it inside a transaction.
    """
    row = ResourceServer.objects.select_for_update().filter(pk=pk).first()
    return None if row is None else RegistryState(_values(row))


def diff(before: RegistryState | None, after: RegistryState | None) -> Diff:
    """Return the differences. For a new or deleted row, all non-empty values."""
    old, new = before or RegistryState(), after or RegistryState()
    if before is None or after is None:
        return Diff(_filled(old.values), _filled(new.values), tuple(sorted(new.secrets)))
    changed = [name for name in new.values if old.values.get(name) != new.values[name]]
    secrets = (name for name in new.secrets if old.secrets.get(name) != new.secrets[name])
    return Diff(
        {name: old.values.get(name) for name in changed},
        {name: new.values[name] for name in changed},
        tuple(sorted(secrets)),
    )


def columns(model: type[models.Model]) -> Iterator[models.Field[Any, Any]]:
    """Yield the columns of a model that an operator can set."""
    for column in model._meta.concrete_fields:
        is_stamp = getattr(column, "auto_now", False) or getattr(column, "auto_now_add", False)
        if column.editable and not column.primary_key and not is_stamp:
            yield column


def _policy_of(application: Any) -> dict[str, Any]:
    policy = ClientPolicy.objects.filter(application=application.pk).first()
    if policy is not None:
        return _values(policy)
    derived = lookup.from_rows(application, ())
    return {**_columns_of(derived.policy), "audiences": sorted(derived.servers)}


def _values(row: models.Model) -> dict[str, Any]:
    related = (each for each in row._meta.many_to_many if each.editable)
    return _columns_of(row) | {each.name: _rows_of(row, each) for each in related}


def _columns_of(row: models.Model) -> dict[str, Any]:
    return {
        column.name: _value(row, column)
        for column in columns(type(row))
        if not is_secret(type(row), column.name)
    }


def _rows_of(row: models.Model, relation: models.ManyToManyField[Any, Any]) -> list[str]:
    rows = getattr(row, relation.name).using(database())
    known_by = {ResourceServer: "identifier", toolkit.application_model(): "client_id"}
    name = known_by.get(relation.related_model, "pk")
    return sorted(map(str, rows.values_list(name, flat=True)))


def _secrets(row: models.Model) -> dict[str, str]:
    return {
        column.name: str(column.value_from_object(row))
        for column in columns(type(row))
        if is_secret(type(row), column.name)
    }


def _value(row: models.Model, column: models.Field[Any, Any]) -> Any:
    value = column.value_from_object(row)
    if isinstance(column, models.ForeignKey):
        return None if value is None else _named(column, value)
    if isinstance(value, Scope):
        return str(value)
    if isinstance(value, Constraints):
        return value.as_json()
    if isinstance(value, list):
        return sorted(value, key=str)
    if isinstance(value, datetime):
        return value.isoformat()
    plain = value is None or isinstance(value, bool | int | str)
    return value if plain else column.value_to_string(row)


def _named(column: models.Field[Any, Any], key: Any) -> str | None:
    if column.related_model is ResourceServer:
        return ResourceServer.objects.filter(pk=key).values_list("identifier", flat=True).first()
    if column.name == "user":
        return user_subject(key)
    return str(key)


def _logo_of(pk: Any) -> str:
    digests = ClientLogo.objects.filter(policy=pk).values_list("digest", flat=True)
    return digests.first() or ""


def _filled(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value not in (None, "", [])}
