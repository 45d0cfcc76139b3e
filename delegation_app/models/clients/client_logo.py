"""The picture of a client, apart from its policy: each token request reads that."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from delegation_app.models.base import PrimaryManager, PrimaryModel
from delegation_app.models.clients.client_policy import ClientPolicy
from delegation_app.models.fields import DigestField


class ClientLogo(PrimaryModel):
    """An image as it was uploaded; `services.clients.logos` has looked at what it is."""

    class ImageType(models.TextChoices):
        """What may be shown. SVG is not among them: it can carry scripts and links."""

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
    # Its address: another image is another address, so that browsers may keep each for ever
    digest = DigestField(_("digest"), db_index=True)

    objects = PrimaryManager["ClientLogo"]()

    class Meta:
        verbose_name = _("client logo")
        verbose_name_plural = _("client logos")
        # It is a part of the policy
        default_permissions = ()

    def __str__(self) -> str:
        return f"logo {self.digest[:8]}"
