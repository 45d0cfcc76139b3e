"""The authorization code: a short-lived view of a delegation."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from delegation_app.models.base import PrimaryManager, PrimaryModel
from delegation_app.models.delegation import Delegation
from delegation_app.models.fields import AudienceField, DigestField, ScopeField


class AuthorizationCode(PrimaryModel):
    """What a code is bound to. The code itself is not stored."""

    digest = DigestField(_("digest"), unique=True)
    delegation = models.ForeignKey(
        Delegation, models.PROTECT, related_name="codes", verbose_name=_("delegation")
    )
    redirect_uri = models.TextField(_("redirect URI"))
    code_challenge = models.CharField(_("code challenge"), max_length=43)
    scope = ScopeField(_("scope"))
    audience = AudienceField(_("audience"))
    issued_at = models.DateTimeField(_("issued"))
    expires_at = models.DateTimeField(_("expires"))
    consumed_at = models.DateTimeField(_("redeemed"), null=True)

    objects = PrimaryManager["AuthorizationCode"]()

    class Meta:
        verbose_name = _("authorization code")
        verbose_name_plural = _("authorization codes")
        # Shown on the page of its delegation
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"code {self.digest[:8]}"
