"""The audit trail."""

from __future__ import annotations

from typing import Any, Final, NoReturn

from django.db import models
from django.db.models.fields.json import KT
from django.db.models.functions import Cast
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from delegation_app.events import DELEGATION_NARROWED, DELEGATION_REVOKED, OF_TOKENS
from delegation_app.models.base import PrimaryManager, PrimaryModel
from delegation_app.models.consent import ConsentRecord
from delegation_app.models.delegation import Delegation
from delegation_app.models.fields import DigestField, empty_object


class AppendOnly(TypeError):
    """Raised by every attempt to change or delete an audit event."""


class AuditEventQuerySet(models.QuerySet["AuditEvent"]):
    """Append-only events."""

    def update(self, **_kwargs: Any) -> NoReturn:
        """Raise AppendOnly."""
        raise AppendOnly

    def delete(self) -> NoReturn:
        """Raise AppendOnly."""
        raise AppendOnly


# A token event has nine index entries, the minimum for all filters; see docs/decisions.md.
_RARE: Final = ~models.Q(event__in=OF_TOKENS)


_REFUSED: Final = models.Q(outcome="refused")


def _newest(*fields: str, name: str, condition: models.Q | None = None) -> models.Index:
    return models.Index(fields=[*fields, "-occurred_at", "-id"], name=name, condition=condition)


def detail_text(name: str) -> Cast:
    """Return a member of the details as text, matching the indexes."""
    # Without the cast, SQLite would read the other operand as JSON
    return Cast(KT(f"details__{name}"), models.TextField())


def _newest_refused(detail: str, *, name: str) -> models.Index:
    order = (models.F("occurred_at").desc(), models.F("id").desc())
    return models.Index(detail_text(detail), *order, name=name, condition=_REFUSED)


class AuditEvent(PrimaryModel):
    """An append-only record: actor, event, delegation, origin and outcome."""

    class Outcome(models.TextChoices):
        """The outcome of an event."""

        DONE = "done", _("done")
        REFUSED = "refused", _("refused")

    event = models.CharField(_("event"), max_length=64)
    outcome = models.CharField(_("outcome"), max_length=8, choices=Outcome.choices)
    occurred_at = models.DateTimeField(_("when"), default=timezone.now)
    actor = models.CharField(_("actor"), max_length=300, blank=True)
    subject = models.CharField(_("subject"), max_length=300, blank=True)
    client_id_value = models.CharField(_("client id"), max_length=255, blank=True)
    # Neither is ever deleted, and inserting an event must not wait for a lock on it
    # Its index is `audit_of_delegation`.
    delegation = models.ForeignKey(
        Delegation,
        models.DO_NOTHING,
        null=True,
        db_constraint=False,
        db_index=False,
        related_name="events",
        verbose_name=_("delegation"),
    )
    consent = models.ForeignKey(
        ConsentRecord,
        models.DO_NOTHING,
        null=True,
        db_constraint=False,
        related_name="events",
        verbose_name=_("consent"),
    )
    jti = models.CharField(_("token id"), max_length=27, blank=True)
    reason = models.CharField(_("reason"), max_length=255, blank=True)
    ip_address = models.GenericIPAddressField(_("IP address"), null=True)
    request_id = models.CharField(_("request id"), max_length=64, blank=True)
    details = models.JSONField(_("details"), default=empty_object)

    objects = PrimaryManager.from_queryset(AuditEventQuerySet)()

    class Meta:
        verbose_name = _("audit event")
        verbose_name_plural = _("audit events")
        ordering = ("-occurred_at", "-id")
        default_permissions = ("view",)
        permissions = (("export_auditevent", _("Can export audit events")),)
        indexes = (
            _newest(name="audit_newest"),
            models.Index(fields=["jti"], name="audit_jti", condition=~models.Q(jti="")),
            models.Index(
                fields=["request_id"], name="audit_request", condition=~models.Q(request_id="")
            ),
            _newest("delegation", name="audit_of_delegation"),
            _newest("subject", name="audit_of_subject"),
            _newest("client_id_value", name="audit_of_client"),
            _newest("actor", name="audit_of_actor"),
            _newest("event", name="audit_rare", condition=_RARE),
            _newest("delegation", name="audit_rare_of_one", condition=_RARE),
            _newest(name="audit_refused", condition=_REFUSED),
            _newest_refused("endpoint", name="audit_refused_at"),
            _newest_refused("grant_type", name="audit_refused_grant"),
            _newest("reason", name="audit_reason", condition=~models.Q(reason="")),
            # Finds recently reduced delegations. An index on the delegation's column would make
            # each revocation write all indexes of that table.
            models.Index(
                fields=["occurred_at"],
                name="audit_lessened",
                condition=models.Q(event__in=[DELEGATION_REVOKED.name, DELEGATION_NARROWED.name]),
            ),
        )

    def __str__(self) -> str:
        return f"{self.event} {self.occurred_at:%Y-%m-%d %H:%M:%S}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save a new event; a stored one cannot be changed."""
        if not self._state.adding:
            raise AppendOnly
        super().save(*args, **kwargs)

    def delete(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        """Raise AppendOnly."""
        raise AppendOnly


class EventCount(PrimaryModel):
    """A counter of equal events within a minute, written as one event afterwards."""

    digest = DigestField(_("digest"), unique=True)
    event = models.CharField(_("event"), max_length=64)
    outcome = models.CharField(_("outcome"), max_length=8, choices=AuditEvent.Outcome.choices)
    reason = models.CharField(_("reason"), max_length=255, blank=True)
    actor = models.CharField(_("actor"), max_length=300, blank=True)
    client_id_value = models.CharField(_("client id"), max_length=255, blank=True)
    # Null if they came from several
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
