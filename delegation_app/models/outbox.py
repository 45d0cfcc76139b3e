"""Signals to be delivered to the site."""

from __future__ import annotations

import uuid

from django.db import models
from django.utils.translation import gettext_lazy as _

from delegation_app.models.base import PrimaryManager, PrimaryModel
from delegation_app.models.fields import empty_object


class OutboxMessage(PrimaryModel):
    """A signal stored in the transaction of its cause, and delivered at least once."""

    class MessageKind(models.TextChoices):
        """The signal."""

        OPENED = "delegation.created", _("delegation created")
        REVOKED = "delegation.revoked", _("delegation revoked")

    # Lets receivers detect a second delivery
    public_id = models.UUIDField(_("message id"), unique=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(_("kind"), max_length=32, choices=MessageKind.choices)
    # Ids and numbers only: personal data stays in the record
    payload = models.JSONField(_("payload"), default=empty_object)
    created_at = models.DateTimeField(_("created"))
    # The next delivery; postponed during a delivery and after a failure
    due_at = models.DateTimeField(_("due"))
    delivered_at = models.DateTimeField(_("delivered"), null=True)
    attempts = models.PositiveIntegerField(_("attempts"), default=0)

    objects = PrimaryManager["OutboxMessage"]()

    class Meta:
        verbose_name = _("outbox message")
        verbose_name_plural = _("outbox messages")
        default_permissions = ()
        ordering = ("id",)
        indexes = (
            models.Index(
                fields=["due_at", "id"],
                name="outbox_waiting",
                condition=models.Q(delivered_at=None),
            ),
            models.Index(
                fields=["delivered_at"],
                name="outbox_delivered",
                condition=models.Q(delivered_at__isnull=False),
            ),
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.public_id}"
