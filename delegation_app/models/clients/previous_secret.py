"""The secret that a client had before, while it still goes on."""

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
    """One for each client whose secret was replaced with an overlap; it goes with the client."""

    application = models.OneToOneField(
        APPLICATION_MODEL,
        models.CASCADE,
        primary_key=True,
        related_name="delegation_previous_secret",
        verbose_name=_("application"),
    )
    hashed = models.TextField(_("hashed"), editable=False)
    # Its own, where it was made by a generator; else only the slow hash can prove it
    digest = DigestField(_("digest"), blank=True, default="", db_default="", editable=False)
    # Of the secret that replaced it, which was made here and is random enough for that. With it a
    # wrong secret costs one slow hash here too, so that nobody can time who has two.
    successor_digest = DigestField(_("digest of the new one"), editable=False)
    # Of what is stored of the new one. A secret that is set in any other way ends this one.
    current_digest = DigestField(_("stands beside"), editable=False)
    ends_at = models.DateTimeField(_("ends"), editable=False)

    objects = PrimaryManager["PreviousSecret"]()

    class Meta:
        verbose_name = _("former secret")
        verbose_name_plural = _("former secrets")
        default_permissions = ()

    def __str__(self) -> str:
        return str(_("former secret until %(end)s") % {"end": self.ends_at.isoformat()})

    def goes_on(self, stored: str, now: datetime) -> bool:
        """Tell whether it still proves its client, of whose secret `stored` is on file now."""
        return now < self.ends_at and hmac.compare_digest(self.current_digest, digest(stored))
