"""When a person or a client is deleted, what hangs on them ends first; the records stay."""

from __future__ import annotations

from typing import Any, Final

from django.apps import apps
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.db.models import Model, QuerySet
from django.db.models.signals import post_delete, pre_delete

from delegation_app import toolkit
from delegation_app.events import USER_DELETED
from delegation_app.models import Delegation
from delegation_app.protocol.claims import user_subject
from delegation_app.services import audit
from delegation_app.services.delegations import revocation
from delegation_app.services.delegations import selection as delegation_selection
from delegation_app.services.status_lists import cache
from delegation_app.services.transactions import nested

_PERSON: Final = "the person was deleted"
_CLIENT: Final = "the client was deleted"


def connect_deletions() -> None:
    """Connect to the deletion of users and clients, and to what else changes status lists.

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
    # A model, its proxies and what inherits from it: each sends signals of its own
    return [kind for kind in apps.get_models() if issubclass(kind, model)]


def _user_leaves(instance: Any, sender: type[Model], **_kwargs: object) -> None:
    # A model that inherits from it sends a signal of its own, for the same user
    if sender._meta.concrete_model is get_user_model()._meta.concrete_model:
        _name(instance)
    _end_chosen(delegation_selection.of_user(instance), _PERSON)


def _name(user: AbstractBaseUser) -> None:
    """Record under which name a user is gone: records have the subject only, by its key."""
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


# Again, when nobody can open another one: what was opened since the first look lost its person or
# client to the deletion, and no event would tell.
def _user_left(instance: Any, **_kwargs: object) -> None:
    subject = user_subject(instance.pk)
    _end(Delegation.objects.filter(subject=subject, principal_user=None), _PERSON)


def _client_left(instance: Any, **_kwargs: object) -> None:
    client_id = instance.client_id
    _end(Delegation.objects.filter(delegate_client_id=client_id, delegate=None), _CLIENT)


def _end(left: QuerySet[Delegation], reason: str) -> None:
    for selection in delegation_selection.each(left.filter(revoked_at=None)):
        _end_chosen(selection, reason)


def _end_chosen(selection: delegation_selection.Selection, reason: str) -> None:
    # Who is gone has nothing that could come back
    revocation.chosen([selection], audit.RequestContext(), reason=reason, leaves_block=False)
