"""Signing keys."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from delegation_app.models.base import PrimaryManager, PrimaryModel
from delegation_app.protocol.jwk import ALGORITHMS


class SigningKey(PrimaryModel):
    """A key pair, its private half encrypted."""

    class KeyState(models.TextChoices):
        """The state of a key. All three are published; retired keys until `expires_at`."""

        NEXT = "next", _("next")
        ACTIVE = "active", _("active")
        RETIRED = "retired", _("retired")

    kid = models.CharField(_("key id"), max_length=64, unique=True)
    algorithm = models.CharField(
        _("algorithm"), max_length=8, choices=[(name, name) for name in ALGORITHMS]
    )
    state = models.CharField(_("state"), max_length=8, choices=KeyState.choices)
    public_jwk = models.JSONField(_("public key"))
    encrypted_private_key = models.BinaryField()
    created_at = models.DateTimeField(_("created"))
    activated_at = models.DateTimeField(_("active since"), null=True)
    expires_at = models.DateTimeField(_("published until"), null=True)

    objects = PrimaryManager["SigningKey"]()

    class Meta:
        verbose_name = _("signing key")
        verbose_name_plural = _("signing keys")
        ordering = ("-created_at", "-id")
        default_permissions = ("view",)
        permissions = (("rotate_signingkey", _("Can rotate signing keys")),)
        constraints = (
            models.UniqueConstraint(
                name="signing_key_one_active_one_next",
                fields=["state"],
                condition=models.Q(state__in=["active", "next"]),
            ),
        )

    def __str__(self) -> str:
        return self.kid
