"""Resource servers: the audiences of tokens."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from django.db import models
from django.utils.translation import gettext_lazy as _

from delegation_app.models.base import PrimaryManager
from delegation_app.models.fields import ScopeField, read_scope, validate_resource_identifier
from delegation_app.models.restrictions import RestrictionQuerySet, RestrictionTimes
from delegation_app.toolkit import APPLICATION_MODEL


class ResourceServerQuerySet(RestrictionQuerySet["ResourceServer"]):
    """Resource servers; an UPDATE that restricts sets a timestamp."""


class ResourceServer(RestrictionTimes):
    """A service that accepts tokens of this server, identified by `aud`."""

    TAKING: ClassVar = frozenset({"active", "identifier", "scopes"})

    class TokenFormat(models.TextChoices):
        """The format of access tokens for this service."""

        JWT = "jwt", _("JSON Web Token")
        OPAQUE = "opaque", _("opaque, for introspection only")

    identifier = models.CharField(
        _("identifier"),
        max_length=255,
        unique=True,
        validators=[validate_resource_identifier],
        help_text=_("An absolute URI, the value of “resource” and “aud”."),
    )
    # RFC 8693 section 2.1: the value of `audience` is a name that is unique at this server
    name = models.CharField(
        _("name"),
        max_length=255,
        unique=True,
        help_text=_("Shown to users; also the value of “audience” in exchanges."),
    )
    scopes = ScopeField(
        _("scopes"), help_text=_("The scopes that it accepts, separated by spaces.")
    )
    introspectors: models.ManyToManyField[Any, Any] = models.ManyToManyField(
        APPLICATION_MODEL,
        verbose_name=_("introspecting clients"),
        related_name="introspectable_resource_servers",
        blank=True,
        help_text=_(
            "The clients of this service: they introspect and exchange the tokens sent to it."
        ),
    )
    token_format = models.CharField(
        _("token format"), max_length=8, choices=TokenFormat.choices, default=TokenFormat.JWT
    )
    active = models.BooleanField(
        _("active"), default=True, help_text=_("Clear to refuse every token for it immediately.")
    )

    objects = PrimaryManager.from_queryset(ResourceServerQuerySet)()

    class Meta:
        verbose_name = _("resource server")
        verbose_name_plural = _("resource servers")
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

    def takes_from(self, stored: Self | None) -> bool:
        """Whether it was deactivated, renamed or lost a scope."""
        if stored is None:
            return False
        is_off = stored.active and not self.active
        is_another = stored.identifier != self.identifier
        return is_off or is_another or not stored.scopes <= read_scope(self.scopes)
