"""Serializer fields with one accepted spelling: the framework's fields convert other types."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from rest_framework import serializers

from delegation_app.protocol.requests import reading
from delegation_app.protocol.requests.public_id import as_uuid
from delegation_app.services.delegations import state

_DIGITS = re.compile(r"[0-9]{1,9}")
# RFC 3339 section 5.6: the offset is required, since a time without one is ambiguous
_MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})"
)
_NAMES: Final = 100


class StrictTextField(serializers.CharField):
    """Text, unchanged. Numbers are refused."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"trim_whitespace": False, "max_length": 300, **kwargs})

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class StrictIntegerField(serializers.IntegerField):
    """An integer; in a query, ASCII digits."""

    def to_internal_value(self, data: Any) -> int:
        if self.context.get("is_text") and isinstance(data, str) and _DIGITS.fullmatch(data):
            return int(data)
        if not isinstance(data, int) or isinstance(data, bool):
            self.fail("invalid")
        return data


class StrictBooleanField(serializers.BooleanField):
    """A boolean; in a query, `true` or `false`."""

    def to_internal_value(self, data: Any) -> bool:
        if self.context.get("is_text"):
            data = {"true": True, "false": False}.get(data) if isinstance(data, str) else None
        if not isinstance(data, bool):
            self.fail("invalid", input="")
        return data


class StrictDateTimeField(serializers.DateTimeField):
    """A time with its offset, returned in UTC."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"default_timezone": UTC, "format": "iso-8601", **kwargs})

    def to_internal_value(self, value: Any) -> datetime:
        if not (isinstance(value, str) and _MOMENT.fullmatch(value)):
            self.fail("invalid", format="RFC 3339")
        try:
            return reading.moment(value).astimezone(UTC)
        except ValueError:
            self.fail("invalid", format="RFC 3339")


class DelegationId(serializers.UUIDField):
    """The id of a delegation, in canonical form only."""

    def to_internal_value(self, data: Any) -> UUID:
        found = as_uuid(data) if isinstance(data, str) else None
        if found is None:
            self.fail("invalid", value="")
        return found


class NameListField(serializers.ListField):
    """A list of names, such as scopes; not empty."""

    child = StrictTextField(max_length=255)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"allow_empty": False, "max_length": _NAMES, **kwargs})


class StateField(serializers.ChoiceField):
    """The state of a delegation, which is computed and has no column."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"choices": state.State.values, **kwargs})

    def get_attribute(self, instance: Any) -> str:
        return state.state(instance).value


class PairsAs(serializers.Serializer[Any]):
    """A tuple as an object: the declared fields name its items, in order."""

    def to_representation(self, instance: Sequence[Any]) -> dict[str, Any]:
        return dict(zip(self.fields, instance, strict=True))
