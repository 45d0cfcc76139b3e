"""The delegation record."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any, Final, cast

from django.conf import settings
from django.db import connections, models, router
from django.utils.translation import gettext_lazy as _

from delegation_app import clock
from delegation_app.models.base import PrimaryManager, PrimaryModel
from delegation_app.models.consent import ConsentRecord
from delegation_app.models.fields import (
    AudienceField,
    ConstraintsField,
    DigestField,
    ScopeField,
    empty_list,
    empty_object,
)
from delegation_app.models.validity import in_force
from delegation_app.toolkit import APPLICATION_MODEL

_USE_GRANULARITY: Final = timedelta(minutes=1)
# The first tokens of a code count as a use just before the time of issue. A lost response can be
# repeated only while no later use is recorded: then no client has presented a token.
_UNPRESENTED: Final = models.Q(last_used_at=None) | models.Q(last_used_at__lt=models.F("issued_at"))


class DelegationQuerySet(models.QuerySet["Delegation"]):
    """Filters of delegations by validity and use."""

    def live(self, now: datetime | None = None) -> DelegationQuerySet:
        """Keep those in force: the only spelling of validity.

        Neither revoked nor expired, the person still active, the client still enabled.

        Args:
            now: the time to judge by; the present if left out.
        """
        return self.filter(in_force(now or clock.now()))

    def subtree(self, of: Delegation) -> DelegationQuerySet:
        """Keep `of` and everything below it."""
        return self.filter(root__public_id=of.root_id, path__startswith=of.path)

    def unpresented(self) -> DelegationQuerySet:
        """Keep those without a presented token, as far as this server knows."""
        return self.filter(_UNPRESENTED)

    def unused(self, now: datetime) -> DelegationQuerySet:
        """Keep those whose use is due: none in the last minute, or never presented."""
        return self.filter(_UNPRESENTED | models.Q(last_used_at__lt=now - _USE_GRANULARITY))

    def used(self, now: datetime) -> int:
        """Record a use, at most once a minute: a row written on each use becomes a hot spot."""
        return self.unused(now).update(last_used_at=now)


class Delegation(PrimaryModel):
    """Principal, delegate, scopes, audience, limits, lifetime and place in the tree."""

    class State(models.TextChoices):
        """The state shown to operators."""

        LIVE = "live", _("live")
        SUSPENDED = "suspended", _("suspended: user or a client disabled")
        EXPIRED = "expired", _("expired")
        REVOKED = "revoked", _("revoked")

    public_id = models.UUIDField(
        _("delegation id"), unique=True, default=uuid.uuid4, editable=False
    )

    principal_user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        related_name="delegations_given",
        verbose_name=_("principal (user)"),
    )
    principal_client = models.ForeignKey(
        APPLICATION_MODEL,
        models.SET_NULL,
        null=True,
        related_name="delegations_given",
        verbose_name=_("principal (client)"),
    )
    # Kept as a value: it outlives the row of the user or client
    subject = models.CharField(_("subject"), max_length=300, db_index=True)
    # Its index is `delegation_delegate`
    delegate = models.ForeignKey(
        APPLICATION_MODEL,
        models.SET_NULL,
        null=True,
        db_index=False,
        related_name="delegations_held",
        verbose_name=_("delegate"),
    )
    delegate_client_id = models.CharField(
        _("client id of the delegate"), max_length=255, db_index=True
    )

    parent = models.ForeignKey(
        "self", models.PROTECT, null=True, related_name="children", verbose_name=_("parent")
    )
    # A root refers to itself by public_id, which is known before the row has a key, so that
    # creating a delegation is one INSERT.
    root = models.ForeignKey(
        "self", models.PROTECT, to_field="public_id", related_name="+", verbose_name=_("root")
    )
    path = models.CharField(_("path"), max_length=400)
    depth = models.PositiveSmallIntegerField(_("depth"), default=0)
    # The clients of all ancestors, /key//key/. Few clients are disabled, so searching for those
    # here is cheaper than walking up the tree.
    ancestor_clients = models.TextField(
        _("ancestor clients"), default="", blank=True, editable=False
    )
    # The current actor first (RFC 8693 section 4.1): identities and nothing else
    actors = models.JSONField(_("actors"), default=empty_list, blank=True, editable=False)

    scopes = ScopeField(_("scopes"))
    audience = AudienceField(_("audience"))
    # The parent's, narrowed by its own, so that no ancestor has to be read
    constraints = ConstraintsField(_("constraints"))
    # Incremented for each token issued here or below, if this delegation or an ancestor has a limit
    uses = models.PositiveIntegerField(_("tokens issued"), default=0, editable=False)
    max_uses = models.PositiveIntegerField(_("maximum tokens"), null=True, editable=False)
    grant_type = models.CharField(_("grant type"), max_length=100)
    consent = models.ForeignKey(
        ConsentRecord,
        models.PROTECT,
        null=True,
        related_name="delegations",
        verbose_name=_("consent"),
    )
    terms_digest = DigestField(_("terms"))
    # When the user allowed it on a page; later blocks of the pair apply to it. Null without a page:
    # a client that acts for itself, or a trusted one.
    allowed_at = models.DateTimeField(_("allowed"), null=True, editable=False)
    auth_time = models.DateTimeField(_("signed in"), null=True)
    acr = models.CharField(_("authentication context"), max_length=100, blank=True)

    issued_at = models.DateTimeField(_("issued"))
    expires_at = models.DateTimeField(_("expires"), null=True)
    revoked_at = models.DateTimeField(_("revoked"), null=True)
    revoked_by = models.CharField(_("revoked by"), max_length=300, blank=True)
    revocation_reason = models.CharField(_("reason"), max_length=255, blank=True)
    # The newest access token at the last narrowing: it and older ones exceed what is left. A key,
    # not a time: the root is locked, so no token is issued during a narrowing.
    narrowed_after = models.BigIntegerField(
        _("last token before narrowing"), null=True, editable=False
    )
    last_used_at = models.DateTimeField(_("last used"), null=True)
    metadata = models.JSONField(_("metadata"), default=empty_object, blank=True)

    objects = PrimaryManager.from_queryset(DelegationQuerySet)()

    class Meta:
        verbose_name = _("delegation")
        verbose_name_plural = _("delegations")
        ordering = ("-issued_at", "-id")
        permissions = (
            ("revoke_delegation", _("Can revoke delegations")),
            ("narrow_delegation", _("Can narrow delegations")),
        )
        indexes = (
            models.Index(
                fields=["root", "path"],
                name="delegation_tree",
                # A prefix search needs these on PostgreSQL; other databases ignore them.
                opclasses=["uuid_ops", "varchar_pattern_ops"],
            ),
            models.Index(fields=["terms_digest"], name="delegation_terms"),
            # The key as well: what a client holds is asked for to find its tokens
            models.Index(fields=["delegate", "id"], name="delegation_delegate"),
            models.Index(fields=["-issued_at", "-id"], name="delegation_newest"),
        )
        constraints = (
            models.CheckConstraint(
                name="delegation_one_principal",
                condition=models.Q(principal_user=None) | models.Q(principal_client=None),
            ),
            models.CheckConstraint(
                name="delegation_child_is_deeper",
                condition=models.Q(parent=None, depth=0)
                | models.Q(parent__isnull=False, depth__gt=0),
            ),
            models.CheckConstraint(
                name="delegation_expires_after_issue",
                condition=models.Q(expires_at=None)
                | models.Q(expires_at__gt=models.F("issued_at")),
            ),
            models.CheckConstraint(
                name="delegation_revoked_by_an_actor",
                condition=models.Q(revoked_at=None, revoked_by="")
                | (models.Q(revoked_at__isnull=False) & ~models.Q(revoked_by="")),
            ),
        )

    def __str__(self) -> str:
        return f"{self.subject} → {self.delegate_client_id}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save; a new row gets its place in the tree from its parent."""
        if self._state.adding:
            self._take_place()
        super().save(*args, **kwargs)

    @property
    def chain(self) -> list[str]:
        """The public ids from the root to this delegation."""
        return [str(uuid.UUID(part)) for part in self.path.strip("/").split("/")]

    def has_ended(self, now: datetime) -> bool:
        """Whether it is revoked or expired, which is final."""
        return self.revoked_at is not None or (
            self.expires_at is not None and self.expires_at <= now
        )

    def why_not_in_force(self, now: datetime) -> str:
        """Return the audit detail of why it is not in force."""
        if self.has_ended(now):
            return "its delegation has ended"
        return "the user or a client of its delegation is disabled"

    def is_use_due(self, now: datetime) -> bool:
        """Whether the next use is to be recorded."""
        last = self.last_used_at
        return last is None or last < self.issued_at or now - last > _USE_GRANULARITY

    def note_use(self, now: datetime, *others: Delegation) -> None:
        """Record a use of this and `others`, with at most one UPDATE a minute."""
        due = [row for row in (self, *others) if row.is_use_due(now)]
        if due:
            Delegation.objects.filter(pk__in=[row.pk for row in due]).used(now)
        for row in due:
            row.last_used_at = now

    def note_first_tokens(self) -> None:
        """Record the issue of the first tokens as a use, unless a use is recorded."""
        if self.last_used_at is None:
            self.last_used_at = self.issued_at - timedelta.resolution
            self.save(update_fields=["last_used_at"])

    def _take_place(self) -> None:
        if self.parent is None:
            self.root_id, self.path, self.depth = self.public_id, f"/{self.public_id.hex}/", 0
        else:
            self.root_id = self.parent.root_id
            self.path = f"{self.parent.path}{self.public_id.hex}/"
            self.depth = self.parent.depth + 1
            self.ancestor_clients = self.parent.ancestor_clients + ancestor_clients_of(
                self.parent.delegate_id
            )


def ancestor_clients_of(client: object) -> str:
    """Return the entry of a client in `ancestor_clients`: its key between slashes."""
    # As a CAST in the database writes it: SQLite stores a UUID without dashes
    key = cast("models.ForeignKey[Any, Any]", Delegation._meta.get_field("delegate")).target_field
    connection = connections[router.db_for_write(Delegation)]
    return f"/{key.get_db_prep_value(client, connection)}/"
