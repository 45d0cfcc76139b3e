"""When a person is disabled and enabled again: the row says whether, the trail since when."""

from __future__ import annotations

from typing import Any, Final

from django.apps import apps
from django.contrib.auth import get_user_model
from django.db.models import Model
from django.db.models.signals import post_save, pre_save

from delegation_app.events import USER_DISABLED, USER_ENABLED
from delegation_app.models.validity import users_can_be_inactive
from delegation_app.protocol.claims import user_subject
from delegation_app.services import audit
from delegation_app.services.transactions import joined

_COLUMN: Final = "is_active"
_STORED: Final = "_delegation_was_active"


def kinds_of(model: type[Model]) -> list[type[Model]]:
    """Return a model, its proxies and what inherits from it: each sends signals of its own."""
    return [kind for kind in apps.get_models() if issubclass(kind, model)]


def watch() -> None:
    """Record what `save` does to people's `is_active`. Called once, when the app is ready.

    Side effects: one statement more for each save of a stored user that writes the column; one
    audit event where it changes. What `QuerySet.update` and fixtures do sends no signal and leaves
    no event.
    """
    if not users_can_be_inactive():
        return
    for kind in kinds_of(get_user_model()):
        pre_save.connect(_look, sender=kind, dispatch_uid="delegation_person")
        post_save.connect(_compare, sender=kind, dispatch_uid="delegation_person")


def _look(instance: Any, using: str, update_fields: Any, *, raw: bool, **_kwargs: object) -> None:
    instance.__dict__.pop(_STORED, None)
    is_written = update_fields is None or _COLUMN in update_fields
    # A sign-in writes `last_login` alone, and costs nothing here
    if is_written and not (raw or instance._state.adding):  # noqa: SLF001 - Django's documented way
        rows = get_user_model()._base_manager.using(using).filter(pk=instance.pk)
        instance.__dict__[_STORED] = rows.values_list(_COLUMN, flat=True).first()


def _compare(instance: Any, **_kwargs: object) -> None:
    stored = instance.__dict__.pop(_STORED, None)
    if stored is None or stored == instance.is_active:
        return
    event = USER_ENABLED if instance.is_active else USER_DISABLED
    with joined():
        audit.record(event, audit.Origin(), subject=user_subject(instance.pk))
