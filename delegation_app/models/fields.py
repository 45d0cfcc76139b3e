"""Field types, defaults and validators. Migrations import them, so they stay in this module."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.core.validators import URLValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from delegation_app.protocol.audience import Audience, is_absolute_uri
from delegation_app.protocol.constraints import Constraints, InvalidConstraint
from delegation_app.protocol.errors import InvalidScope, InvalidTarget
from delegation_app.protocol.scope import Scope

if TYPE_CHECKING:
    # Django's fields are generic for the type checker only: what is set, what is read
    _ScopeText = models.TextField[Scope | str, Scope]
    _AudienceText = models.TextField[Audience | str, Audience]
    _DigestText = models.CharField[Any, Any]
    _ConstraintsJson = models.JSONField[Constraints, Constraints]
else:
    _ConstraintsJson = models.JSONField
    _ScopeText = _AudienceText = models.TextField
    _DigestText = models.CharField

_https: Final = URLValidator(schemes=["https"])


class ScopeField(_ScopeText):
    """A Scope, stored as its space-separated names."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["default"] = Scope
        kwargs["blank"] = True
        super().__init__(*args, **kwargs)

    def deconstruct(self) -> Any:
        name, path, args, kwargs = super().deconstruct()
        del kwargs["default"], kwargs["blank"]
        return name, path, args, kwargs

    def from_db_value(self, value: str | None, *_: object) -> Scope | None:
        return None if value is None else Scope(value.split())

    def to_python(self, value: Any) -> Scope:
        if isinstance(value, Scope):
            return value
        try:
            return Scope.parse(" ".join(str(value or "").split()))
        except InvalidScope as error:
            raise ValidationError(error.description, code="invalid") from error

    def get_prep_value(self, value: Any) -> str:
        return str(self.to_python(value))

    def value_to_string(self, obj: models.Model) -> str:
        return str(self.value_from_object(obj))


def read_scope(value: Scope | str) -> Scope:
    """Return the scope of a row that may be unsaved, where it can be text."""
    return value if isinstance(value, Scope) else Scope(value.split())


class AudienceField(_AudienceText):
    """An Audience, stored as its space-separated identifiers."""

    def from_db_value(self, value: str | None, *_: object) -> Audience | None:
        return None if value is None else Audience(value.split())

    def to_python(self, value: Any) -> Audience:
        if isinstance(value, Audience):
            return value
        try:
            return Audience.parse(str(value or "").split())
        except InvalidTarget as error:
            raise ValidationError(error.description, code="invalid") from error

    def get_prep_value(self, value: Any) -> str:
        return str(self.to_python(value))

    def value_to_string(self, obj: models.Model) -> str:
        return str(self.value_from_object(obj))


class ConstraintsField(_ConstraintsJson):
    """Constraints, stored as the JSON list of their members."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["default"] = Constraints
        kwargs["blank"] = True
        super().__init__(*args, **kwargs)

    def deconstruct(self) -> Any:
        name, path, args, kwargs = super().deconstruct()
        del kwargs["default"], kwargs["blank"]
        return name, path, args, kwargs

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Constraints | None:
        members = super().from_db_value(value, expression, connection)
        return None if members is None else Constraints.stored(members)

    def to_python(self, value: Any) -> Constraints:
        if isinstance(value, Constraints):
            return value
        try:
            return Constraints.parse(value or [])
        except InvalidConstraint as error:
            raise ValidationError(error.description, code="invalid") from error

    def validate(self, value: Constraints, model_instance: models.Model | None) -> None:
        super().validate(value.as_json(), model_instance)

    def get_prep_value(self, value: Any) -> Any:
        return super().get_prep_value(self.to_python(value).as_json())

    def value_to_string(self, obj: models.Model) -> Any:
        return self.value_from_object(obj).as_json()


class DigestField(_DigestText):
    """The hexadecimal SHA-256 of a secret."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["max_length"] = 64
        super().__init__(*args, **kwargs)

    def deconstruct(self) -> Any:
        name, path, args, kwargs = super().deconstruct()
        del kwargs["max_length"]
        return name, path, args, kwargs


def validate_resource_identifier(value: str) -> None:
    """Refuse an identifier that is not valid in `resource` and `aud` (RFC 8707 section 2)."""
    if not is_absolute_uri(value):
        raise ValidationError(_("Enter an absolute URI without a fragment."), code="invalid")


def validate_web_address(value: str) -> None:
    """Refuse all but https addresses without a user name, in ASCII."""
    try:
        _https(value)
        parts = urlsplit(value)
    except (ValidationError, ValueError):
        parts = None
    if parts is None or "@" in parts.netloc or not value.isascii():
        raise ValidationError(_("Enter an https address."), code="invalid")


def empty_object() -> dict[str, Any]:
    """Return the default of a JSON column."""
    return {}


def empty_list() -> list[Any]:
    """Return the default of a JSON column that holds a list."""
    return []
