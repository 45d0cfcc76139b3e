"""The policy of a client, in addition to its application row."""

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
    """Policies; an UPDATE that restricts sets a timestamp."""


class ClientPolicy(RestrictionTimes):
    """The limits of one client. Trust (no consent required) is a flag of the application."""

    TAKING: ClassVar = frozenset({"scopes"})

    class AuthMethod(models.TextChoices):
        """Client authentication at the token endpoint (RFC 7591 section 2)."""

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
        _("enabled"),
        default=True,
        help_text=_("Clear to suspend all delegations of this client immediately."),
    )
    grants = models.JSONField(_("grant types"), default=empty_list, blank=True)
    scopes = ScopeField(
        _("scopes"),
        help_text=_(
            "The scopes that the client may obtain, separated by spaces. Empty means none."
        ),
    )
    audiences = models.ManyToManyField(
        ResourceServer,
        verbose_name=_("audiences"),
        related_name="client_policies",
        blank=True,
        help_text=_("The resource servers that the client may obtain tokens for."),
    )
    default_audience = models.ForeignKey(
        ResourceServer,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("default audience"),
        help_text=_("For requests without a resource. Not needed with a single audience."),
    )
    token_endpoint_auth_method = models.CharField(
        _("client authentication"),
        max_length=32,
        choices=AuthMethod.choices,
        blank=True,
        default="",
        help_text=_("Empty: Basic or body for a confidential client."),
    )
    drops_unavailable_scopes = models.BooleanField(
        _("drops unavailable scopes"),
        default=False,
        help_text=_(
            "Remove unavailable scopes from its requests instead of refusing them. A request "
            "without remaining scopes is treated as one without the parameter."
        ),
    )
    always_prompt = models.BooleanField(
        _("always prompt"), default=False, help_text=_("Prompt the user each time.")
    )
    required_scopes = ScopeField(
        _("required scopes"),
        help_text=_(
            "The client does not work without these. Users can only allow all of them, or deny."
        ),
    )
    confirm_risky = models.BooleanField(
        _("high-risk scopes need approval"),
        default=False,
        help_text=_("A consent to a high-risk scope is pending until an operator approves it."),
    )
    home_page = models.CharField(
        _("home page"), max_length=500, blank=True, default="", validators=[validate_web_address]
    )
    privacy_page = models.CharField(
        _("privacy page"), max_length=500, blank=True, default="", validators=[validate_web_address]
    )
    may_introspect_all = models.BooleanField(
        _("may introspect every token"), default=False, help_text=_("For internal tools only.")
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
        help_text=_(
            "Seconds. Within this time a client that lost a response may repeat the refresh "
            "token. It gets the same successor, if that is unused. A later repetition counts as "
            "theft and ends the delegation. At most the lifetime of an access token. 0: no "
            "retry. Empty: the site's setting; at most 10 for a public client."
        ),
    )
    delegation_lifetime = models.PositiveIntegerField(
        _("delegation lifetime"), null=True, blank=True, help_text=_("Seconds; empty: the site's.")
    )
    constraints = ConstraintsField(
        _("constraints"), help_text=_("Limits of every new delegation of this client.")
    )
    may_request_constraints = models.BooleanField(
        _("may request constraints"),
        default=False,
        help_text=_("Accept the parameter “constraints”, which can only narrow."),
    )
    # A value, not a key: it goes into every token, and must not become empty with a deleted client
    may_act = models.CharField(
        _("may be exchanged by"),
        max_length=255,
        blank=True,
        default="",
        help_text=_(
            "The client id of the only client that may exchange the tokens of this one (the claim "
            "“may_act”). Empty: the clients of each resource server."
        ),
    )
    may_impersonate = models.BooleanField(
        _("may impersonate"),
        default=False,
        help_text=_(
            "Caution: exchanges without an actor token do not name this client as the actor. Only "
            "the audit trail records it."
        ),
    )
    may_exchange_refresh_tokens = models.BooleanField(
        _("may exchange refresh tokens"),
        default=False,
        help_text=_("The client may exchange its own refresh tokens, too."),
    )
    may_refresh_exchanged_tokens = models.BooleanField(
        _("may refresh exchanged tokens"),
        default=False,
        help_text=_(
            "Its exchanges issue a refresh token, so that its access outlives the exchanged token. "
            "Revoking the parent delegation still ends it."
        ),
    )
    # Null while enabled, so that a client disabled by raw SQL is not overlooked
    disabled_at = models.DateTimeField(_("disabled"), null=True, editable=False)

    objects = PrimaryManager.from_queryset(ClientPolicyQuerySet)()

    class Meta:
        verbose_name = _("client policy")
        verbose_name_plural = _("client policies")
        permissions = (("rotate_secret_clientpolicy", _("Can replace client secrets")),)
        indexes = (
            # Validity checks search for the few disabled clients
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
        """Return the timestamps of restriction and disabling; see the base class."""
        since = stored.disabled_at if stored is not None and not stored.enabled else clock.now()
        return {
            **super().stamps_since(stored),
            "disabled_at": None if self.enabled else since,
        }

    def takes_from(self, stored: Self | None) -> bool:
        """Whether a scope was removed, or a client without a policy gets one."""
        if stored is None:
            return bool(self.application.delegations_held.filter(revoked_at=None).exists())
        return not stored.scopes <= read_scope(self.scopes)

    @classmethod
    def stamps_of(cls, columns: Mapping[str, Any]) -> dict[str, Any]:
        """Return the timestamps that an UPDATE of these columns sets as well."""
        stamps = super().stamps_of(columns)
        if "enabled" in columns:
            stamps["disabled_at"] = clock.now() if columns["enabled"] is False else None
        return stamps


@receiver(m2m_changed, sender=ClientPolicy.audiences.through)
def _audiences_taken(
    action: str, instance: Any, pk_set: set[Any] | None, *, reverse: bool, **_kwargs: object
) -> None:
    # Before the change: a clear from the other side names no rows
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
