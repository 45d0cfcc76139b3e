"""When a person or a client is deleted, what hangs on them ends first; the records stay."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.db.models.signals import pre_delete

from delegation_app import toolkit
from delegation_app.services import audit, revoke


def watch() -> None:
    """Connect to the deletion of users and clients. Called once, when the app is ready."""
    pre_delete.connect(_user_leaves, sender=get_user_model(), dispatch_uid="delegation_user")
    pre_delete.connect(
        _client_leaves, sender=toolkit.application_model(), dispatch_uid="delegation_client"
    )


def _user_leaves(instance: Any, **_kwargs: object) -> None:
    revoke.of_user(instance, audit.Origin(), reason="the person was deleted")


def _client_leaves(instance: Any, **_kwargs: object) -> None:
    revoke.of_client(instance, audit.Origin(), reason="the client was deleted")
