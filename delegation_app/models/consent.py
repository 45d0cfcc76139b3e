"""Consents: what the user saw and decided."""

from __future__ import annotations

import uuid
from datetime import datetime

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from delegation_app.models.base import PrimaryManager, PrimaryModel
from delegation_app.models.fields import (
    AudienceField,
    ConstraintsField,
    DigestField,
    ScopeField,
    empty_object,
)
from delegation_app.toolkit import APPLICATION_MODEL


class ConsentQuerySet(models.QuerySet["ConsentRecord"]):
    """Filters of consents by effect."""

    def effective(self, now: datetime) -> ConsentQuerySet:
        """Keep granted ones, neither withdrawn nor expired nor pending approval."""
        kinds = ConsentRecord.Confirmation
        return self._unended(now).filter(confirmation__in=[kinds.NOT_NEEDED, kinds.CONFIRMED])

    def awaiting(self, now: datetime) -> ConsentQuerySet:
        """Keep those pending an operator's approval."""
        return self._unended(now).filter(confirmation=ConsentRecord.Confirmation.PENDING)

    def _unended(self, now: datetime) -> ConsentQuerySet:
        return self.filter(decision=ConsentRecord.Decision.GRANTED, withdrawn_at=None).filter(
            models.Q(chosen_expiry=None) | models.Q(chosen_expiry__gt=now)
        )


class ConsentRecord(PrimaryModel):
    """A decision on a consent request. Never edited, only approved or rejected, and withdrawn."""

    class Decision(models.TextChoices):
        """The decision of the user."""

        GRANTED = "granted", _("granted")
        DENIED = "denied", _("denied")
        TRUSTED = "trusted", _("not required: trusted client")

    class Confirmation(models.TextChoices):
        """The approval of an operator."""

        NOT_NEEDED = "", _("not needed")
        PENDING = "pending", _("pending approval")
        CONFIRMED = "confirmed", _("approved")
        REFUSED = "refused", _("rejected")

    public_id = models.UUIDField(_("consent id"), unique=True, default=uuid.uuid4, editable=False)
    # A page can be answered once: a second answer has the same digest
    request_digest = DigestField(unique=True, editable=False)

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        related_name="delegation_consents",
        verbose_name=_("user"),
    )
    subject = models.CharField(_("subject"), max_length=300)
    client = models.ForeignKey(
        APPLICATION_MODEL,
        models.SET_NULL,
        null=True,
        related_name="delegation_consents",
        verbose_name=_("client"),
    )
    client_id_value = models.CharField(_("client id"), max_length=255)
    client_name = models.CharField(_("client name as shown"), max_length=255)
    redirect_host = models.CharField(_("redirect host as shown"), max_length=255)

    scopes_asked = ScopeField(_("requested scopes"))
    scopes_granted = ScopeField(_("granted scopes"))
    scopes_refused = ScopeField(_("refused scopes"))
    audience = AudienceField(_("audience"))
    constraints = ConstraintsField(_("constraints"))
    text_version = models.CharField(_("text version"), max_length=32, blank=True)
    locale = models.CharField(_("locale"), max_length=32, blank=True)
    # The text of the page, see `services.consent.screen`; empty if none was shown
    shown = models.JSONField(_("text as shown"), default=empty_object)
    chosen_expiry = models.DateTimeField(_("expires"), null=True)

    decision = models.CharField(_("decision"), max_length=8, choices=Decision.choices)
    decided_at = models.DateTimeField(_("decided"))
    ip_address = models.GenericIPAddressField(_("IP address"), null=True)
    user_agent = models.CharField(_("user agent"), max_length=255, blank=True)

    # The user's sign-in, for delegations that are created after the answer
    auth_time = models.DateTimeField(_("signed in"), null=True, editable=False)
    acr = models.CharField(_("authentication context"), max_length=100, blank=True, editable=False)

    confirmation = models.CharField(
        _("approval"),
        max_length=9,
        choices=Confirmation.choices,
        blank=True,
        default=Confirmation.NOT_NEEDED,
    )
    confirmation_at = models.DateTimeField(_("approved or rejected"), null=True)
    confirmation_by = models.CharField(_("approved or rejected by"), max_length=300, blank=True)
    confirmation_reason = models.CharField(_("reason"), max_length=255, blank=True)

    withdrawn_at = models.DateTimeField(_("withdrawn"), null=True)
    withdrawn_by = models.CharField(_("withdrawn by"), max_length=300, blank=True)

    objects = PrimaryManager.from_queryset(ConsentQuerySet)()

    class Meta:
        verbose_name = _("consent record")
        verbose_name_plural = _("consent records")
        ordering = ("-decided_at",)
        permissions = (
            ("withdraw_consentrecord", _("Can withdraw consent")),
            ("confirm_consentrecord", _("Can approve consent")),
        )
        indexes = (
            models.Index(
                fields=["subject", "client_id_value"], name="consent_of_subject_at_client"
            ),
            models.Index(fields=["-decided_at", "-id"], name="consent_newest"),
            models.Index(fields=["decision", "-decided_at", "-id"], name="consent_decision"),
            # Few rows are in either, and operators filter for these
            models.Index(
                fields=["confirmation", "-decided_at", "-id"],
                name="consent_confirmation",
                condition=~models.Q(confirmation=""),
            ),
            models.Index(
                fields=["-decided_at", "-id"],
                name="consent_withdrawn",
                condition=models.Q(withdrawn_at__isnull=False),
            ),
        )
        constraints = (
            models.CheckConstraint(
                name="consent_confirmed_by_an_operator",
                condition=models.Q(confirmation__in=["", "pending"], confirmation_at=None)
                | models.Q(
                    confirmation__in=["confirmed", "refused"], confirmation_at__isnull=False
                ),
            ),
        )

    def __str__(self) -> str:
        return f"{self.subject} → {self.client_name}"
