"""The device code: a device's authorization request, then a view of the delegation."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from delegation_app.models.base import PrimaryManager, PrimaryModel
from delegation_app.models.consent import ConsentRecord
from delegation_app.models.delegation import Delegation
from delegation_app.models.fields import AudienceField, ConstraintsField, DigestField, ScopeField
from delegation_app.toolkit import APPLICATION_MODEL


class DeviceCode(PrimaryModel):
    """What a device requested, and the user's decision. Neither code is stored."""

    digest = DigestField(_("digest"), unique=True)
    # Null once the code is answered, or has expired and is reused
    user_code_digest = DigestField(_("digest of the user code"), unique=True, null=True)
    client = models.ForeignKey(
        APPLICATION_MODEL,
        models.SET_NULL,
        null=True,
        related_name="delegation_device_codes",
        verbose_name=_("client"),
    )
    client_id_value = models.CharField(_("client id"), max_length=255)
    # An IPv6 address as its /64; empty if unknown
    address = models.CharField(
        _("requesting address"), max_length=43, blank=True, default="", db_default=""
    )
    scope = ScopeField(_("scope"))
    audience = AudienceField(_("audience"))
    constraints = ConstraintsField(_("constraints"))
    issued_at = models.DateTimeField(_("issued"))
    expires_at = models.DateTimeField(_("expires"))
    # In seconds; increased each time the device polls too early
    interval = models.PositiveIntegerField(_("polling interval"))
    last_polled_at = models.DateTimeField(_("last polled"), null=True)

    approved_at = models.DateTimeField(_("approved"), null=True)
    denied_at = models.DateTimeField(_("denied"), null=True)
    consent = models.ForeignKey(
        ConsentRecord,
        models.PROTECT,
        null=True,
        related_name="device_codes",
        verbose_name=_("consent"),
    )
    delegation = models.ForeignKey(
        Delegation,
        models.PROTECT,
        null=True,
        related_name="device_codes",
        verbose_name=_("delegation"),
    )
    consumed_at = models.DateTimeField(_("redeemed"), null=True)

    objects = PrimaryManager["DeviceCode"]()

    class Meta:
        verbose_name = _("device code")
        verbose_name_plural = _("device codes")
        # Shown on the page of its delegation
        default_permissions = ("view",)
        # For the limits of unanswered codes, counted at every start
        indexes = (
            models.Index(fields=["client_id_value", "expires_at"], name="device_code_of_client"),
            models.Index(fields=["address", "expires_at"], name="device_code_of_address"),
        )
        constraints = (
            models.CheckConstraint(
                name="device_code_one_answer",
                condition=models.Q(approved_at=None) | models.Q(denied_at=None),
            ),
            models.CheckConstraint(
                name="device_code_approved_with_delegation",
                condition=models.Q(approved_at=None, delegation=None)
                | models.Q(approved_at__isnull=False, delegation__isnull=False),
            ),
            models.CheckConstraint(
                name="device_code_redeemed_if_approved",
                condition=models.Q(consumed_at=None) | models.Q(approved_at__isnull=False),
            ),
        )

    def __str__(self) -> str:
        return f"device code {self.digest[:8]}"
