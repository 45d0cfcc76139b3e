"""Access and refresh tokens: views of a delegation."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from delegation_app.models.base import PrimaryManager, PrimaryModel
from delegation_app.models.delegation import Delegation
from delegation_app.models.fields import AudienceField, DigestField, ScopeField


class AccessToken(PrimaryModel):
    """One access token: its `jti`, and the digest of its text if that is opaque."""

    jti = models.CharField(_("token id"), max_length=27, unique=True)
    digest = DigestField(_("digest"), unique=True, null=True)
    # Its index is `access_token_delegation`
    delegation = models.ForeignKey(
        Delegation,
        models.PROTECT,
        db_index=False,
        related_name="access_tokens",
        verbose_name=_("delegation"),
    )
    scope = ScopeField(_("scope"))
    audience = AudienceField(_("audience"))
    issued_at = models.DateTimeField(_("issued"))
    expires_at = models.DateTimeField(_("expires"))
    revoked_at = models.DateTimeField(_("revoked"), null=True)

    objects = PrimaryManager["AccessToken"]()

    class Meta:
        verbose_name = _("access token")
        verbose_name_plural = _("access tokens")
        default_permissions = ("view",)
        indexes = (
            # Also covers the query of a status list: a delegation that is refreshed for months has
            # thousands of tokens.
            models.Index(fields=["delegation", "id", "expires_at"], name="access_token_delegation"),
            models.Index(
                fields=["id"],
                name="access_token_revoked",
                condition=models.Q(revoked_at__isnull=False),
            ),
        )

    def __str__(self) -> str:
        return self.jti


class RefreshToken(PrimaryModel):
    """One refresh token. It keeps the full scope and audience of its grant (RFC 6749 section 6)."""

    digest = DigestField(_("digest"), unique=True)
    delegation = models.ForeignKey(
        Delegation, models.PROTECT, related_name="refresh_tokens", verbose_name=_("delegation")
    )
    # Unique: a refresh token has at most one successor
    predecessor = models.OneToOneField(
        "self", models.PROTECT, null=True, related_name="successor", verbose_name=_("predecessor")
    )
    scope = ScopeField(_("scope"))
    audience = AudienceField(_("audience"))
    issued_at = models.DateTimeField(_("issued"))
    expires_at = models.DateTimeField(_("expires"))
    consumed_at = models.DateTimeField(_("rotated"), null=True)

    objects = PrimaryManager["RefreshToken"]()

    class Meta:
        verbose_name = _("refresh token")
        verbose_name_plural = _("refresh tokens")
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"refresh token {self.digest[:8]}"
