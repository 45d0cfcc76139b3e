"""A change of the registry that is pending a second operator."""

from __future__ import annotations

from datetime import datetime

from django.db import models
from django.utils.translation import gettext_lazy as _

from delegation_app.models.base import PrimaryManager, PrimaryModel
from delegation_app.models.fields import empty_object


class ProposedChangeQuerySet(models.QuerySet["ProposedChange"]):
    """Filters of proposals."""

    def waiting(self, now: datetime) -> ProposedChangeQuerySet:
        """Keep those neither decided nor expired."""
        return self.filter(state=ProposedChange.ProposalState.PENDING, expires_at__gt=now)


class ProposedChange(PrimaryModel):
    """A change proposed by one operator and decided by another. Never edited."""

    class Kind(models.TextChoices):
        """The changed table. A site may swap the model of its clients, so this is not its name."""

        CLIENT = "client", _("client")
        RESOURCE_SERVER = "resource_server", _("resource server")
        BLOCK = "block", _("block")

    class Change(models.TextChoices):
        """The kind of change."""

        ADDED = "added", _("added")
        CHANGED = "changed", _("changed")
        LIFTED = "lifted", _("lifted")

    class ProposalState(models.TextChoices):
        """The state of a proposal."""

        PENDING = "pending", _("pending")
        APPROVED = "approved", _("approved")
        REJECTED = "rejected", _("rejected")
        STALE = "stale", _("no longer applies")
        WITHDRAWN = "withdrawn", _("withdrawn")

    kind = models.CharField(_("kind"), max_length=16, choices=Kind.choices)
    change = models.CharField(_("change"), max_length=8, choices=Change.choices)
    # Of the changed row; empty for a new one
    key = models.CharField(_("key"), max_length=64, blank=True)
    # Kept as a value: the row may be deleted meanwhile
    name = models.CharField(_("what"), max_length=300)
    before = models.JSONField(_("before"), default=empty_object)
    after = models.JSONField(_("after"), default=empty_object)
    # The submitted form without secrets, until the decision
    posted = models.JSONField(_("form"), default=empty_object, editable=False)

    proposed_by = models.CharField(_("proposed by"), max_length=300)
    proposed_at = models.DateTimeField(_("proposed"))
    reason = models.CharField(_("reason"), max_length=255, blank=True)
    expires_at = models.DateTimeField(_("expires"))

    state = models.CharField(
        _("state"), max_length=9, choices=ProposalState.choices, default=ProposalState.PENDING
    )
    decided_by = models.CharField(_("decided by"), max_length=300, blank=True)
    decided_at = models.DateTimeField(_("decided"), null=True)
    decision_reason = models.CharField(_("reason for the decision"), max_length=255, blank=True)

    objects = PrimaryManager.from_queryset(ProposedChangeQuerySet)()

    class Meta:
        verbose_name = _("proposed change")
        verbose_name_plural = _("changes pending a second operator")
        ordering = ("-proposed_at", "-id")
        default_permissions = ("view",)
        permissions = (
            ("decide_proposedchange", _("Can decide changes that other operators propose")),
        )
        indexes = (
            models.Index(fields=["-proposed_at", "-id"], name="proposed_change_newest"),
            # Few rows are in it, and the page of each client searches for its own
            models.Index(
                fields=["kind", "key"],
                name="proposed_change_pending",
                condition=models.Q(state="pending"),
            ),
        )
        constraints = (
            models.CheckConstraint(
                name="proposed_change_decided",
                condition=models.Q(state="pending", decided_at=None)
                | (~models.Q(state="pending") & models.Q(decided_at__isnull=False)),
            ),
            models.CheckConstraint(
                name="proposed_change_by_two",
                condition=~models.Q(state="approved", decided_by=models.F("proposed_by")),
            ),
        )

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.name}: {self.get_change_display()}"
