"""The logo of a client, apart from its policy, which each token request reads."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from delegation_app.models.base import PrimaryManager, PrimaryModel
from delegation_app.models.clients.client_policy import ClientPolicy
from delegation_app.models.fields import DigestField


class ClientLogo(PrimaryModel):
    """An uploaded image, validated by `services.clients.logos`."""

    class ImageType(models.TextChoices):
        """Allowed types. SVG is excluded: it can contain scripts and links."""

        PNG = "image/png", "PNG"
        JPEG = "image/jpeg", "JPEG"
        WEBP = "image/webp", "WebP"

    policy = models.OneToOneField(
        ClientPolicy,
        models.CASCADE,
        primary_key=True,
        related_name="logo",
        verbose_name=_("client policy"),
    )
    data = models.BinaryField(_("data"))
    content_type = models.CharField(_("kind"), max_length=16, choices=ImageType.choices)
    # Part of its URL, so that browsers can cache each image permanently
    digest = DigestField(_("digest"), db_index=True)

    objects = PrimaryManager["ClientLogo"]()

    class Meta:
        verbose_name = _("client logo")
        verbose_name_plural = _("client logos")
        # Part of the policy
        default_permissions = ()

    def __str__(self) -> str:
        return f"logo {self.digest[:8]}"
