"""What a person saw and answered."""

from __future__ import annotations

import uuid
from datetime import datetime

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from delegation_app.models.base import PrimaryManager
from delegation_app.models.fields import AudienceField, ConstraintsField, DigestField, ScopeField
from delegation_app.toolkit import APPLICATION_MODEL


class ConsentQuerySet(models.QuerySet["ConsentRecord"]):
    """Consents, and which of them still speak."""

    def standing(self, now: datetime) -> ConsentQuerySet:
        """Keep what was granted and neither withdrawn nor run out."""
        return self.filter(decision=ConsentRecord.Decision.GRANTED, withdrawn_at=None).filter(
            models.Q(chosen_expiry=None) | models.Q(chosen_expiry__gt=now)
        )


class ConsentRecord(models.Model):
    """One answer to one question. It is never edited, only withdrawn."""

    class Decision(models.TextChoices):
        """How it ended."""

        GRANTED = "granted", _("granted")
        DENIED = "denied", _("denied")
        TRUSTED = "trusted", _("not asked: trusted client")

    public_id = models.UUIDField(_("consent id"), unique=True, default=uuid.uuid4, editable=False)
    # A shown page can be answered once: the second answer has the same digest.
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

    scopes_asked = ScopeField(_("scopes asked for"))
    scopes_granted = ScopeField(_("scopes granted"))
    scopes_refused = ScopeField(_("scopes refused"))
    audience = AudienceField(_("audience"))
    constraints = ConstraintsField(_("constraints"))
    text_version = models.CharField(_("text version"), max_length=32, blank=True)
    locale = models.CharField(_("locale"), max_length=32, blank=True)
    chosen_expiry = models.DateTimeField(_("expires"), null=True)

    decision = models.CharField(_("decision"), max_length=8, choices=Decision.choices)
    decided_at = models.DateTimeField(_("decided"))
    ip_address = models.GenericIPAddressField(_("IP address"), null=True)
    user_agent = models.CharField(_("user agent"), max_length=255, blank=True)

    withdrawn_at = models.DateTimeField(_("withdrawn"), null=True)
    withdrawn_by = models.CharField(_("withdrawn by"), max_length=300, blank=True)

    objects = PrimaryManager.from_queryset(ConsentQuerySet)()

    class Meta:
        verbose_name = _("consent record")
        verbose_name_plural = _("consent records")
        ordering = ("-decided_at",)
        permissions = (("withdraw_consentrecord", _("Can withdraw consent")),)
        indexes = (
            models.Index(
                fields=["subject", "client_id_value"], name="consent_of_subject_at_client"
            ),
        )

    def __str__(self) -> str:
        return f"{self.subject} → {self.client_name}"
