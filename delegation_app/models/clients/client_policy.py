"""What a client may do, beside what its application row says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from django.core.validators import MaxValueValidator
from django.db import models
from django.db.models.signals import m2m_changed, pre_delete
from django.dispatch import receiver
from django.utils.translation import gettext_lazy as _

from delegation_app import clock
from delegation_app.conf import LONGEST_ACCESS_TOKEN
from delegation_app.models.base import PrimaryManager
from delegation_app.models.clients.resource_server import ResourceServer
from delegation_app.models.fields import (
    ConstraintsField,
    ScopeField,
    empty_list,
    read_scope,
    validate_web_address,
)
from delegation_app.models.restrictions import RestrictionQuerySet, RestrictionTimes
from delegation_app.protocol import names
from delegation_app.toolkit import APPLICATION_MODEL


class ClientPolicyQuerySet(RestrictionQuerySet["ClientPolicy"]):
    """Policies; an UPDATE of what they allow leaves a stamp."""


class ClientPolicy(RestrictionTimes):
    """The limits of one client. Trust (consent not asked) is the application's own mark."""

    TAKING: ClassVar = frozenset({"scopes"})

    class AuthMethod(models.TextChoices):
        """How a client proves itself at the token endpoint (RFC 7591 section 2)."""

        BASIC = names.BASIC, _("HTTP Basic")
        POST = names.POST, _("secret in the body")
        NONE = names.NONE, _("none (public client)")

    application = models.OneToOneField(
        APPLICATION_MODEL,
        models.CASCADE,
        primary_key=True,
        related_name="delegation_policy",
        verbose_name=_("application"),
    )
    enabled = models.BooleanField(
        _("enabled"), default=True, help_text=_("Untick to stop everything this client holds.")
    )
    grants = models.JSONField(_("grant types"), default=empty_list, blank=True)
    scopes = ScopeField(
        _("scopes"), help_text=_("All it may ever have, separated by spaces. Empty means none.")
    )
    audiences = models.ManyToManyField(
        ResourceServer,
        verbose_name=_("audiences"),
        related_name="client_policies",
        blank=True,
        help_text=_("The resource servers it may get tokens for."),
    )
    default_audience = models.ForeignKey(
        ResourceServer,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("default audience"),
        help_text=_("For requests that name no resource. A single audience needs no default."),
    )
    token_endpoint_auth_method = models.CharField(
        _("client authentication"),
        max_length=32,
        choices=AuthMethod.choices,
        blank=True,
        default="",
        help_text=_("Empty: Basic or body for a client with a secret."),
    )
    drops_unavailable_scopes = models.BooleanField(
        _("drops unavailable scopes"),
        default=False,
        help_text=_(
            "Leave scopes that it cannot get out of its requests, instead of refusing these. A "
            "request of which nothing is left counts as one without scope."
        ),
    )
    always_prompt = models.BooleanField(
        _("always ask"), default=False, help_text=_("Ask the person each time, consent or not.")
    )
    required_scopes = ScopeField(
        _("needed scopes"),
        help_text=_("It cannot work without these. Users may only allow all of them or deny."),
    )
    confirm_risky = models.BooleanField(
        _("confirm what is risky"),
        default=False,
        help_text=_("A consent to a scope of high risk waits until an operator confirms it."),
    )
    home_page = models.CharField(
        _("home page"), max_length=500, blank=True, default="", validators=[validate_web_address]
    )
    privacy_page = models.CharField(
        _("privacy page"), max_length=500, blank=True, default="", validators=[validate_web_address]
    )
    may_introspect_all = models.BooleanField(
        _("may introspect every token"), default=False, help_text=_("For operators' own tools.")
    )
    access_token_lifetime = models.PositiveIntegerField(
        _("access token lifetime"),
        null=True,
        blank=True,
        validators=[MaxValueValidator(int(LONGEST_ACCESS_TOKEN.total_seconds()))],
        help_text=_("Seconds; empty: the site's."),
    )
    refresh_token_lifetime = models.PositiveIntegerField(
        _("refresh token lifetime"),
        null=True,
        blank=True,
        help_text=_("Seconds; empty: the site's."),
    )
    refresh_retry_window = models.PositiveIntegerField(
        _("refresh retry window"),
        null=True,
        blank=True,
        help_text=_("Seconds; empty: the site's; 0: no retry."),
    )
    delegation_lifetime = models.PositiveIntegerField(
        _("delegation lifetime"), null=True, blank=True, help_text=_("Seconds; empty: the site's.")
    )
    constraints = ConstraintsField(
        _("constraints"), help_text=_("Limits of everything that is opened for this client.")
    )
    may_request_constraints = models.BooleanField(
        _("may ask for constraints"),
        default=False,
        help_text=_("Take the parameter “constraints”, which can only narrow."),
    )
    # A value, not a key: it goes into every token, and a client that is gone lets nobody act.
    may_act = models.CharField(
        _("may act with its tokens"),
        max_length=255,
        blank=True,
        default="",
        help_text=_("The client id of the only client that may exchange what this one holds."),
    )
    may_impersonate = models.BooleanField(
        _("may_impersonate"),
        default=False,
        help_text=_("Its exchanges without an actor token do not name it as the actor."),
    )
    may_exchange_refresh_tokens = models.BooleanField(
        _("exchanges refresh tokens"),
        default=False,
        help_text=_("It may present its own refresh tokens for exchange."),
    )
    may_refresh_exchanged_tokens = models.BooleanField(
        _("refreshes what it exchanged"),
        default=False,
        help_text=_("Its exchanges give a refresh token too."),
    )
    # Empty while it is enabled, so that one that was disabled in some other way is not overlooked
    disabled_at = models.DateTimeField(_("disabled"), null=True, editable=False)

    objects = PrimaryManager.from_queryset(ClientPolicyQuerySet)()

    class Meta:
        verbose_name = _("client policy")
        verbose_name_plural = _("client policies")
        permissions = (("rotate_secret_clientpolicy", _("Can replace client secrets")),)
        indexes = (
            # Whoever judges a chain of clients asks for the few that are disabled.
            models.Index(
                fields=["application"],
                name="client_policy_disabled",
                condition=models.Q(enabled=False),
            ),
        )
        constraints = (
            models.CheckConstraint(
                name="client_policy_lifetimes_positive",
                condition=(
                    (models.Q(access_token_lifetime=None) | models.Q(access_token_lifetime__gt=0))
                    & (
                        models.Q(refresh_token_lifetime=None)
                        | models.Q(refresh_token_lifetime__gt=0)
                    )
                    & (models.Q(delegation_lifetime=None) | models.Q(delegation_lifetime__gt=0))
                ),
            ),
        )

    def __str__(self) -> str:
        return str(_("policy of %(client)s") % {"client": self.application})

    def stamps_since(self, stored: Self | None) -> dict[str, Any]:
        """Return the columns that tell when it was tightened and disabled; see the base class."""
        since = stored.disabled_at if stored is not None and not stored.enabled else clock.now()
        return {
            **super().stamps_since(stored),
            "disabled_at": None if self.enabled else since,
        }

    def takes_from(self, stored: Self | None) -> bool:
        """Tell whether a scope is gone, or a client that did without a policy gets one."""
        if stored is None:
            return bool(self.application.delegations_held.filter(revoked_at=None).exists())
        return not stored.scopes <= read_scope(self.scopes)

    @classmethod
    def stamps_of(cls, columns: Mapping[str, Any]) -> dict[str, Any]:
        """Return what an UPDATE of these columns stamps beside them."""
        stamps = super().stamps_of(columns)
        if "enabled" in columns:
            stamps["disabled_at"] = clock.now() if columns["enabled"] is False else None
        return stamps


@receiver(m2m_changed, sender=ClientPolicy.audiences.through)
def _audiences_taken(
    action: str, instance: Any, pk_set: set[Any] | None, *, reverse: bool, **_kwargs: object
) -> None:
    # Before it happens: what is cleared from the other side is not named
    if action not in {"pre_remove", "pre_clear"}:
        return
    policies = ClientPolicy.objects.all()
    if not reverse:
        policies.filter(pk=instance.pk).tighten()
    elif pk_set is None:
        policies.filter(audiences=instance).tighten()
    else:
        policies.filter(pk__in=pk_set).tighten()


@receiver(pre_delete, sender=ResourceServer)
def _server_leaves(instance: ResourceServer, **_kwargs: object) -> None:
    ClientPolicy.objects.filter(audiences=instance).tighten()
