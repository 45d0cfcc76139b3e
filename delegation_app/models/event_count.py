"""Events that are so many that they are counted."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from delegation_app.models.audit import AuditEvent
from delegation_app.models.base import PrimaryManager, PrimaryModel
from delegation_app.models.fields import DigestField, empty_object


class EventCount(PrimaryModel):
    """A number of events of one kind within a minute. Once that is over it becomes one event."""

    digest = DigestField(_("digest"), unique=True)
    event = models.CharField(_("event"), max_length=64)
    outcome = models.CharField(_("outcome"), max_length=8, choices=AuditEvent.Outcome.choices)
    reason = models.CharField(_("reason"), max_length=255, blank=True)
    actor = models.CharField(_("actor"), max_length=300, blank=True)
    client_id_value = models.CharField(_("client id"), max_length=255, blank=True)
    # Null where they came from many
    ip_address = models.GenericIPAddressField(_("IP address"), null=True)
    request_id = models.CharField(_("id of the last request"), max_length=64, blank=True)
    details = models.JSONField(_("details of the first"), default=empty_object)
    count = models.PositiveBigIntegerField(_("count"), default=1)
    first_at = models.DateTimeField(_("first"))
    last_at = models.DateTimeField(_("last"))
    ends_at = models.DateTimeField(_("ends"), db_index=True)

    objects = PrimaryManager["EventCount"]()

    class Meta:
        verbose_name = _("event count")
        verbose_name_plural = _("event counts")
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.count} x {self.event}"
