"""The only definition of a delegation's validity."""

from __future__ import annotations

from datetime import datetime

from django.contrib.auth import get_user_model
from django.core.exceptions import FieldDoesNotExist
from django.db import models
from django.db.models.functions import Cast, Concat

from delegation_app.models.clients.client_policy import ClientPolicy
from delegation_app.protocol.claims import client_subject


def in_force(now: datetime, prefix: str = "") -> models.Q:
    """Return the condition for a live delegation, also for rows that refer to one.

    It is neither revoked nor expired, the user is active, and its client and those of all ancestors
    are enabled. Revocation and expiry of ancestors are not checked: they apply to every row below
    when they happen.

    Args:
        now: the time to evaluate for.
        prefix: the look-up path to the delegation, such as `delegation__`.
    """

    def q(**conditions: object) -> models.Q:
        return models.Q(**{prefix + name: value for name, value in conditions.items()})

    # Not `principal_user=None`: it is also null for what a user granted while being deleted
    person = q(subject__startswith=client_subject(""))
    active = {"is_active": True} if users_can_be_inactive() else {"isnull": False}
    person |= q(**{f"principal_user__{name}": value for name, value in active.items()})
    client = q(delegate__delegation_policy=None) | q(delegate__delegation_policy__enabled=True)
    return (
        q(revoked_at=None)
        & (q(expires_at=None) | q(expires_at__gt=now))
        & person
        & q(delegate__isnull=False)
        & client
        & (q(ancestor_clients="") | ~models.Q(_disabled_above(prefix)))
    )


def _disabled_above(prefix: str) -> models.Exists:
    ancestor_clients = models.ExpressionWrapper(
        models.OuterRef(f"{prefix}ancestor_clients"), output_field=models.TextField()
    )
    key = Cast("application_id", models.CharField())
    disabled = ClientPolicy.objects.filter(enabled=False).annotate(
        ancestor_clients=ancestor_clients
    )
    return models.Exists(
        disabled.filter(
            ancestor_clients__contains=Concat(models.Value("/"), key, models.Value("/"))
        )
    )


def users_can_be_inactive() -> bool:
    """Whether the site's user model has the column `is_active`."""
    try:
        get_user_model()._meta.get_field("is_active")
    except FieldDoesNotExist:
        return False
    return True
