"""Fields that take one spelling: the framework's own guess what somebody may have meant."""

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
# RFC 3339 section 5.6: with its offset, since a time without one means another moment elsewhere
_MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})"
)
_NAMES: Final = 100


class StrictTextField(serializers.CharField):
    """Text as it was sent, and no number that is taken for text."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"trim_whitespace": False, "max_length": 300, **kwargs})

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class StrictIntegerField(serializers.IntegerField):
    """A whole number; in a query ASCII digits."""

    def to_internal_value(self, data: Any) -> int:
        if self.context.get("is_text") and isinstance(data, str) and _DIGITS.fullmatch(data):
            return int(data)
        if not isinstance(data, int) or isinstance(data, bool):
            self.fail("invalid")
        return data


class StrictBooleanField(serializers.BooleanField):
    """Yes or no; in a query `true` or `false`."""

    def to_internal_value(self, data: Any) -> bool:
        if self.context.get("is_text"):
            data = {"true": True, "false": False}.get(data) if isinstance(data, str) else None
        if not isinstance(data, bool):
            self.fail("invalid", input="")
        return data


class StrictDateTimeField(serializers.DateTimeField):
    """A moment with its offset, told in UTC."""

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
    """The id of a delegation, in the one spelling that is told."""

    def to_internal_value(self, data: Any) -> UUID:
        found = as_uuid(data) if isinstance(data, str) else None
        if found is None:
            self.fail("invalid", value="")
        return found


class NameListField(serializers.ListField):
    """Names, such as scopes; at least one."""

    child = StrictTextField(max_length=255)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"allow_empty": False, "max_length": _NAMES, **kwargs})


class StateField(serializers.ChoiceField):
    """How a delegation stands, which is no column of it."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"choices": state.State.values, **kwargs})

    def get_attribute(self, instance: Any) -> str:
        return state.state(instance).value


class PairsAs(serializers.Serializer[Any]):
    """A tuple told as an object: its parts are named by the fields, in their order."""

    def to_representation(self, instance: Sequence[Any]) -> dict[str, Any]:
        return dict(zip(self.fields, instance, strict=True))
