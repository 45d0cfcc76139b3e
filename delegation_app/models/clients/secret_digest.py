"""The digest of a client's generated secret."""

from __future__ import annotations

import hmac

from django.db import models
from django.utils.translation import gettext_lazy as _

from delegation_app.models.base import PrimaryManager, PrimaryModel
from delegation_app.models.fields import DigestField
from delegation_app.protocol.secrets import digest
from delegation_app.toolkit import APPLICATION_MODEL


class SecretDigest(PrimaryModel):
    """At most one per client, so that a secret of 128 bits or more needs no slow hash.

    The application keeps its slow hash, so a site that uses the toolkit's own endpoints, or removes
    this app, loses nothing.
    """

    application = models.OneToOneField(
        APPLICATION_MODEL,
        models.CASCADE,
        primary_key=True,
        related_name="delegation_secret_digest",
        verbose_name=_("application"),
    )
    digest = DigestField(_("digest"), editable=False)
    # Of the stored hash of the application. A secret set in any other way invalidates this row.
    current_digest = DigestField(_("digest of the stored secret"), editable=False)

    objects = PrimaryManager["SecretDigest"]()

    class Meta:
        verbose_name = _("digest of a secret")
        verbose_name_plural = _("digests of secrets")
        default_permissions = ()

    def __str__(self) -> str:
        return str(_("digest of a secret"))

    def is_of(self, stored: str) -> bool:
        """Whether it is the digest of the secret whose slow hash is `stored`."""
        return hmac.compare_digest(self.current_digest, digest(stored))
