"""Blocks: authority that a user or an operator removed from a pair of principal and delegate."""

from __future__ import annotations

import uuid

from django.db import models
from django.utils.translation import gettext_lazy as _

from delegation_app.models.base import PrimaryManager, PrimaryModel
from delegation_app.models.consent import ConsentRecord
from delegation_app.models.delegation import Delegation
from delegation_app.models.fields import AudienceField, ConstraintsField, ScopeField


class BlockQuerySet(models.QuerySet["DelegationBlock"]):
    """Filters of blocks."""

    def active(self) -> BlockQuerySet:
        """Keep those that no operator has lifted."""
        return self.filter(lifted_at=None)

    def of_pair(self, subject: str, client_id: str) -> BlockQuerySet:
        """Keep those of a pair, including those of all clients or all principals."""
        return self.filter(subject__in=("", subject), client_id_value__in=("", client_id))


class DelegationBlock(PrimaryModel):
    """Authority that a delegate cannot obtain again, or only within limits.

    It applies to every new delegation, and to each reuse of an older one, until the principal
    allows it on a later page or an operator lifts it. A row is never edited, only lifted.
    """

    class Cause(models.TextChoices):
        """The cause of a block."""

        REVOKED = "revoked", _("revoked")
        NARROWED = "narrowed", _("narrowed")
        WITHDRAWN = "withdrawn", _("consent withdrawn")

    public_id = models.UUIDField(_("block id"), unique=True, default=uuid.uuid4, editable=False)
    cause = models.CharField(_("cause"), max_length=9, choices=Cause.choices)
    # The pair, as values that outlive the rows. Empty: every principal, every client
    subject = models.CharField(_("subject"), max_length=300, blank=True)
    client_id_value = models.CharField(_("client id"), max_length=255, blank=True)

    # These scopes at these resource servers, or everything
    everything = models.BooleanField(_("everything"), default=False)
    scopes = ScopeField(_("scopes"))
    audience = AudienceField(_("audience"), default="", blank=True)
    # Authority within these limits and end is still available; without them, none is
    constraints = ConstraintsField(_("constraints"))
    ends_at = models.DateTimeField(_("ends"), null=True)

    # The source. Neither is ever deleted
    delegation = models.ForeignKey(
        Delegation, models.PROTECT, null=True, related_name="blocks", verbose_name=_("delegation")
    )
    consent = models.ForeignKey(
        ConsentRecord, models.PROTECT, null=True, related_name="blocks", verbose_name=_("consent")
    )

    blocked_at = models.DateTimeField(_("blocked"))
    blocked_by = models.CharField(_("blocked by"), max_length=300)
    reason = models.CharField(_("reason"), max_length=255, blank=True)
    lifted_at = models.DateTimeField(_("lifted"), null=True)
    lifted_by = models.CharField(_("lifted by"), max_length=300, blank=True)
    lift_reason = models.CharField(_("reason for lifting"), max_length=255, blank=True)

    objects = PrimaryManager.from_queryset(BlockQuerySet)()

    class Meta:
        verbose_name = _("block")
        verbose_name_plural = _("blocks")
        ordering = ("-blocked_at", "-id")
        default_permissions = ("view",)
        permissions = (("lift_delegationblock", _("Can lift blocks")),)
        indexes = (
            models.Index(
                fields=["subject", "client_id_value"],
                name="block_of_pair",
                condition=models.Q(lifted_at=None),
            ),
            models.Index(fields=["client_id_value", "-id"], name="block_of_client"),
            models.Index(fields=["subject", "-id"], name="block_of_subject"),
            models.Index(fields=["-blocked_at", "-id"], name="block_newest"),
        )
        constraints = (
            models.CheckConstraint(
                name="block_names_what_it_binds",
                condition=models.Q(everything=True)
                | (~models.Q(scopes="") & ~models.Q(audience="")),
            ),
            models.CheckConstraint(
                name="block_lifted_by_an_operator",
                condition=models.Q(lifted_at=None, lifted_by="")
                | (models.Q(lifted_at__isnull=False) & ~models.Q(lifted_by="")),
            ),
        )

    def __str__(self) -> str:
        return f"{self.subject or '*'} → {self.client_id_value or '*'}"

    @property
    def is_limit(self) -> bool:
        """Whether it limits the authority rather than removing it."""
        return bool(self.constraints) or self.ends_at is not None
