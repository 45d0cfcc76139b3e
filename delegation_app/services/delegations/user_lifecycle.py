"""Changes and deletions of users and clients: audit events, and the delegations that end."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from django.apps import apps
from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import get_hasher, identify_hasher, is_password_usable
from django.contrib.auth.models import AbstractBaseUser, BaseUserManager
from django.db.models import Model, QuerySet
from django.db.models.signals import post_delete, post_save, pre_delete, pre_save

from delegation_app import toolkit
from delegation_app.conf import REVOKE, conf
from delegation_app.events import (
    USER_DELETED,
    USER_DISABLED,
    USER_EMAIL_CHANGED,
    USER_ENABLED,
    USER_PASSWORD_CHANGED,
    Event,
)
from delegation_app.models import Delegation
from delegation_app.protocol.claims import user_subject
from delegation_app.services import audit
from delegation_app.services.delegations import revocation
from delegation_app.services.delegations import selection as delegation_selection
from delegation_app.services.status_lists import cache
from delegation_app.services.transactions import nested

_PASSWORD: Final = "password"  # noqa: S105 - the name of a field
_ACTIVE: Final = "is_active"
_BEFORE: Final = "_delegation_before"


def connect_changes() -> None:
    """Connect to the saving of users. Called once, when the app is ready.

    Side effects: one more statement for each save of a stored user that writes one of these
    columns; an audit event for each change. `QuerySet.update` and fixtures send no signal and leave
    no event.
    """
    # No sender: a proxy of the user model is a sender of its own
    pre_save.connect(_remember, dispatch_uid="delegation_account")
    post_save.connect(_compare, dispatch_uid="delegation_account")


def password_changed(user: AbstractBaseUser, origin: audit.RequestContext | None = None) -> int:
    """Record that a user's password was changed, and apply `ON_PASSWORD_CHANGE`.

    Called for every user that is saved with another password. Call it for passwords that are stored
    elsewhere, such as in a directory, and after `QuerySet.update`, which sends no signal.

    Args:
        user: the user.
        origin: the changing actor and the origin of the request; the system by default.

    Returns:
        The number of revoked delegations.

    Side effects: one audit event; with `"revoke"` those of `revocation.of_user`.
    """
    return _changed(
        user, USER_PASSWORD_CHANGED, conf.on_password_change, "the password was changed", origin
    )


def email_changed(user: AbstractBaseUser, origin: audit.RequestContext | None = None) -> int:
    """Record that a user's e-mail address was changed, and apply `ON_EMAIL_CHANGE`.

    Neither address is recorded. See `password_changed`.
    """
    return _changed(
        user, USER_EMAIL_CHANGED, conf.on_email_change, "the e-mail address was changed", origin
    )


def _changed(
    user: AbstractBaseUser,
    event: Event,
    consequence: str,
    reason: str,
    context: audit.RequestContext | None,
) -> int:
    context = context or audit.RequestContext()
    with nested():
        details = {"consequence": consequence}
        audit.record(event, context, subject=user_subject(user.pk), details=details)
        return revocation.of_user(user, context, reason=reason) if consequence == REVOKE else 0


def _remember(
    instance: Any, *, raw: bool, using: str, update_fields: Collection[str] | None, **_: object
) -> None:
    model = get_user_model()
    if raw or not isinstance(instance, model) or instance.pk is None:
        return
    saved = [name for name in _watched(model) if update_fields is None or name in update_fields]
    if saved:
        # The stored values, not those that this object was loaded with: they may be out of date
        rows = model._base_manager.using(using).filter(pk=instance.pk)
        setattr(instance, _BEFORE, rows.values(*saved).first())


def _compare(
    instance: Any, *, created: bool, update_fields: Collection[str] | None, **_: object
) -> None:
    before = vars(instance).pop(_BEFORE, None)
    if before is None or created:
        return
    if _ACTIVE in before and before[_ACTIVE] != getattr(instance, _ACTIVE):
        event = USER_ENABLED if getattr(instance, _ACTIVE) else USER_DISABLED
        with nested():
            audit.record(event, audit.RequestContext(), subject=user_subject(instance.pk))
    if _PASSWORD in before and _is_new_password(before[_PASSWORD], instance, update_fields):
        password_changed(instance)
    email = instance.get_email_field_name()
    if email in before and _address(before[email]) != _address(getattr(instance, email)):
        email_changed(instance)


def _watched(model: type[AbstractBaseUser]) -> list[str]:
    stored = {field.name for field in model._meta.concrete_fields}
    names = (_ACTIVE, _PASSWORD, model.get_email_field_name())
    return [name for name in names if name in stored]


def _address(value: object) -> str:
    return BaseUserManager.normalize_email(str(value or ""))


def _is_new_password(old: str, user: Any, update_fields: Collection[str] | None) -> bool:
    # A random mark is no usable password; sites with an external sign-in set one each time
    if user.password == old or not (is_password_usable(old) or is_password_usable(user.password)):
        return False
        # At a sign-in, Django rehashes the same password if the hash is out of date, saves only
        # that, and clears the raw password first.
    is_set = user._password is not None  # noqa: SLF001 - what set_password leaves
    return is_set or set(update_fields or ()) != {_PASSWORD} or not _is_outdated(old)


def _is_outdated(encoded: str) -> bool:
    try:
        hasher = identify_hasher(encoded)
    except ValueError:
        return False
    preferred = get_hasher()
    return hasher.algorithm != preferred.algorithm or preferred.must_update(encoded)


_PERSON: Final = "the person was deleted"
_CLIENT: Final = "the client was deleted"


def connect_deletions() -> None:
    """Connect to the deletion of users and clients, and to other changes of status lists.

    Called once, when the app is ready.
    """
    for users in _kinds_of(get_user_model()):
        pre_delete.connect(_user_leaves, sender=users, dispatch_uid="delegation_user")
        post_delete.connect(_user_left, sender=users, dispatch_uid="delegation_user")
    for applications in _kinds_of(toolkit.application_model()):
        pre_delete.connect(_client_leaves, sender=applications, dispatch_uid="delegation_client")
        post_delete.connect(_client_left, sender=applications, dispatch_uid="delegation_client")
    cache.watch()


def _kinds_of(model: type[Model]) -> list[type[Model]]:
    # A model, its proxies and its subclasses: each is a sender of its own
    return [kind for kind in apps.get_models() if issubclass(kind, model)]


def _user_leaves(instance: Any, sender: type[Model], **_kwargs: object) -> None:
    # A subclass sends a signal of its own for the same user
    if sender._meta.concrete_model is get_user_model()._meta.concrete_model:
        _name(instance)
    _end_chosen(delegation_selection.of_user(instance), _PERSON)


def _name(user: AbstractBaseUser) -> None:
    # Records have only the subject, by key: this keeps the user name
    name = audit.printable(user.get_username(), 255)
    with nested():
        audit.record(
            USER_DELETED,
            audit.RequestContext(),
            subject=user_subject(user.pk),
            details={"user_name": name},
        )


def _client_leaves(instance: Any, **_kwargs: object) -> None:
    _end_chosen(delegation_selection.of_client(instance), _CLIENT)


# After the deletion, no transaction can create another delegation: those created since the first
# revocation have lost their user or client, and would end without an event.
def _user_left(instance: Any, **_kwargs: object) -> None:
    subject = user_subject(instance.pk)
    _end(Delegation.objects.filter(subject=subject, principal_user=None), _PERSON)


def _client_left(instance: Any, **_kwargs: object) -> None:
    client_id = instance.client_id
    _end(Delegation.objects.filter(delegate_client_id=client_id, delegate=None), _CLIENT)


def _end(left: QuerySet[Delegation], reason: str) -> None:
    for selection in delegation_selection.in_batches(left.filter(revoked_at=None)):
        _end_chosen(selection, reason)


def _end_chosen(selection: delegation_selection.Selection, reason: str) -> None:
    # No block: a deleted user or client cannot regain anything
    revocation.revoke_selections(
        [selection], audit.RequestContext(), reason=reason, leaves_block=False
    )
