"""The previous secret of a client, during an overlap."""

from __future__ import annotations

import hmac
from datetime import datetime

from django.db import models
from django.utils.translation import gettext_lazy as _

from delegation_app.models.base import PrimaryManager, PrimaryModel
from delegation_app.models.fields import DigestField
from delegation_app.protocol.secrets import digest
from delegation_app.toolkit import APPLICATION_MODEL


class PreviousSecret(PrimaryModel):
    """At most one per client, after a replacement with an overlap; deleted with the client."""

    application = models.OneToOneField(
        APPLICATION_MODEL,
        models.CASCADE,
        primary_key=True,
        related_name="delegation_previous_secret",
        verbose_name=_("application"),
    )
    hashed = models.TextField(_("hashed"), editable=False)
    # Of the secret, if it was generated; otherwise only the slow hash can verify it
    digest = DigestField(_("digest"), blank=True, default="", db_default="", editable=False)
    # Of the generated secret that replaced it. With it a wrong secret costs one slow hash, so that
    # timing does not reveal an overlap.
    successor_digest = DigestField(_("digest of the new one"), editable=False)
    # Of the stored hash of the new one. A secret set in any other way ends this one.
    current_digest = DigestField(_("digest of the stored secret"), editable=False)
    ends_at = models.DateTimeField(_("ends"), editable=False)

    objects = PrimaryManager["PreviousSecret"]()

    class Meta:
        verbose_name = _("previous secret")
        verbose_name_plural = _("previous secrets")
        default_permissions = ()

    def __str__(self) -> str:
        return str(_("previous secret until %(end)s") % {"end": self.ends_at.isoformat()})

    def goes_on(self, stored: str, now: datetime) -> bool:
        """Whether it is still valid; `stored` is the client's current stored secret."""
        return now < self.ends_at and hmac.compare_digest(self.current_digest, digest(stored))
