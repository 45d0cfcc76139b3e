"""A request that is waiting for the user: to sign in, or to answer a page."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from delegation_app.models.base import PrimaryManager, PrimaryModel
from delegation_app.models.fields import DigestField


class PendingRequest(PrimaryModel):
    """Short-lived, and bound to one browser. Neither its handle nor the cookie is stored."""

    class RequestKind(models.TextChoices):
        """What the request is waiting for."""

        REQUEST = "request", _("sign-in")
        CONSENT = "consent", _("answer on the consent page")
        DEVICE = "device", _("answer on the device page")

    digest = DigestField(_("digest of the handle"), unique=True)
    browser = DigestField(_("digest of the browser's cookie"))
    kind = models.CharField(_("kind"), max_length=8, choices=RequestKind.choices)
    # Empty before the sign-in. Only the user who was shown the page may answer it.
    subject = models.CharField(_("subject"), max_length=300, blank=True)
    client_id_value = models.CharField(_("client id"), max_length=255)
    # An IPv4 address or an IPv6 network; empty if unknown
    network = models.CharField(_("network"), max_length=43, blank=True)
    content = models.JSONField(_("content"))
    kept_at = models.DateTimeField(_("stored"))
    expires_at = models.DateTimeField(_("expires"))

    objects = PrimaryManager["PendingRequest"]()

    class Meta:
        verbose_name = _("pending request")
        verbose_name_plural = _("pending requests")
        default_permissions = ()
        indexes = (
            models.Index(fields=["expires_at"], name="pending_expired"),
            models.Index(fields=["subject", "kind"], name="pending_of_subject"),
            # Anonymous rows are counted before another one is created
            models.Index(
                fields=["network"],
                name="pending_anonymous_network",
                condition=models.Q(subject=""),
            ),
            models.Index(
                fields=["client_id_value"],
                name="pending_anonymous_client",
                condition=models.Q(subject=""),
            ),
        )

    def __str__(self) -> str:
        return f"pending {self.kind} {self.digest[:8]}"
