"""A resource server: somewhere a token can be valid."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _

from delegation_app.models.base import PrimaryManager
from delegation_app.models.fields import ScopeField, validate_resource_identifier
from delegation_app.toolkit import APPLICATION_MODEL


class ResourceServer(models.Model):
    """A service that accepts our tokens, under the identifier that stands in `aud`."""

    class TokenFormat(models.TextChoices):
        """What an access token for this service looks like."""

        JWT = "jwt", _("JSON Web Token")
        OPAQUE = "opaque", _("opaque, for introspection only")

    identifier = models.CharField(
        _("identifier"),
        max_length=255,
        unique=True,
        validators=[validate_resource_identifier],
        help_text=_("An absolute URI. It is the value of “resource” and of “aud”."),
    )
    # RFC 8693 section 2.1: the value of `audience` is a name that is unique at this server
    name = models.CharField(
        _("name"), max_length=255, unique=True, help_text=_("As people are shown it.")
    )
    scopes = ScopeField(_("scopes"), help_text=_("The scopes that it knows, separated by spaces."))
    introspectors: models.ManyToManyField[Any, Any] = models.ManyToManyField(
        APPLICATION_MODEL,
        verbose_name=_("introspecting clients"),
        related_name="introspectable_resource_servers",
        blank=True,
        help_text=_("The clients that this service uses to ask about tokens."),
    )
    token_format = models.CharField(
        _("token format"), max_length=8, choices=TokenFormat.choices, default=TokenFormat.JWT
    )
    active = models.BooleanField(
        _("active"), default=True, help_text=_("Untick to refuse every token for it, at once.")
    )

    objects = PrimaryManager["ResourceServer"]()

    class Meta:
        verbose_name = _("resource server")
        verbose_name_plural = _("resource servers")
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name
