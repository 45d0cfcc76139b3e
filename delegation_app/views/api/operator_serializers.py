"""What the interface for operators reads and tells."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from delegation_app import grant_types
from delegation_app.services import limits
from delegation_app.services.delegations import state
from delegation_app.views.api.fields import (
    DelegationId,
    NameListField,
    StateField,
    StrictBooleanField,
    StrictDateTimeField,
    StrictIntegerField,
    StrictTextField,
)
from delegation_app.views.api.serializers import (
    MOST,
    Reason,
    StrictSerializer,
    TokenCountsSerializer,
)


class DelegationClient(StrictSerializer):
    """Who holds it."""

    client_id = serializers.CharField(source="delegate_client_id")
    name = serializers.SerializerMethodField(help_text="Empty for one that was deleted.")

    def get_name(self, row: Any) -> str:
        """Return how people know the client."""
        return "" if row.delegate is None else str(row.delegate)


class DelegationRow(StrictSerializer):
    """Who lets whom do what, where, since when and until when."""

    delegation_id = serializers.UUIDField(source="public_id")
    state = StateField()
    subject = serializers.CharField(help_text="Whose authority, as tokens name it.")
    user = serializers.SerializerMethodField(help_text="Their name; null for a client.")
    client = DelegationClient(source="*")
    scopes = serializers.ListField(child=serializers.CharField())
    audience = serializers.ListField(child=serializers.CharField())
    grant_type = serializers.CharField()
    issued_at = StrictDateTimeField()
    expires_at = StrictDateTimeField(allow_null=True)
    last_used_at = StrictDateTimeField(allow_null=True)
    revoked_at = StrictDateTimeField(allow_null=True)
    revoked_by = serializers.CharField()
    revocation_reason = serializers.CharField()
    parent_id = serializers.SerializerMethodField()
    root_id = serializers.UUIDField()
    depth = serializers.IntegerField()
    has_children = serializers.BooleanField()

    def get_user(self, row: Any) -> str | None:
        """Return the name under which the person signs in."""
        user = row.principal_user
        return None if user is None else user.get_username()

    def get_parent_id(self, row: Any) -> str | None:
        """Return the id of the one that it was made from."""
        return row.chain[-2] if row.depth else None


class DelegationPage(StrictSerializer):
    """Delegations, newest first."""

    delegations = DelegationRow(many=True)
    next = serializers.CharField(
        allow_null=True,
        help_text="The `cursor` of the next page; null at the end. Any page may be short.",
    )


class BoundedCount(StrictSerializer):
    """How many, as far as it was counted."""

    count = serializers.IntegerField()
    has_more = serializers.BooleanField(help_text="Whether there are more than that.")


class DelegationSerializer(DelegationRow):
    """One delegation with all that limits it."""

    constraints = serializers.ListField(child=serializers.JSONField(), source="constraint_list")
    limits = serializers.ListField(child=serializers.CharField(), help_text="The same in words.")
    chain = serializers.ListField(
        child=serializers.UUIDField(), help_text="From the root down to this one."
    )
    actors = serializers.JSONField(help_text="Who acts; the current actor first.")
    children = BoundedCount(source="counted_children")
    consent = serializers.UUIDField(
        source="answered_by", allow_null=True, help_text="The answer that it stands on."
    )
    auth_time = StrictDateTimeField(allow_null=True)
    acr = serializers.CharField()
    uses = serializers.IntegerField(help_text="Tokens issued, if their number is limited.")
    max_uses = serializers.IntegerField(allow_null=True)


class _Conditions(StrictSerializer):
    """Which delegations; all conditions have to hold."""

    state = serializers.ChoiceField(choices=state.State.values, required=False)
    subject = StrictTextField(required=False)
    user = StrictTextField(required=False, max_length=255, help_text="The name of a person.")
    client = StrictTextField(required=False, max_length=255, help_text="A client id.")
    grant_type = serializers.ChoiceField(choices=list(grant_types.LABELS), required=False)
    audience = StrictTextField(required=False, help_text="The identifier of a resource server.")
    issued_after = StrictDateTimeField(required=False)
    issued_before = StrictDateTimeField(required=False)
    last_used_before = StrictDateTimeField(
        required=False, help_text="Not used since; those never used count from their issue."
    )
    parent_id = DelegationId(required=False)
    root_id = DelegationId(required=False)
    has_children = StrictBooleanField(required=False)


class DelegationQuery(_Conditions):
    """Which delegations, and how many at once."""

    limit = StrictIntegerField(default=50, min_value=1, max_value=MOST)
    cursor = StrictTextField(required=False, max_length=400)


class RevocationPreview(TokenCountsSerializer):
    """What a revocation would stop."""

    delegations = serializers.IntegerField()
    clients = serializers.IntegerField()
    people = serializers.IntegerField()


class RevokeDelegation(Reason):
    """Why, and whether for good."""


class NarrowDelegation(Reason):
    """What shall be left; what is left out stays as it is."""

    scopes = NameListField(required=False, help_text="Those to keep.")
    audience = NameListField(required=False, help_text="Those to keep.")
    expires_at = StrictDateTimeField(required=False)
    constraints = serializers.ListField(
        child=serializers.JSONField(), required=False, help_text="To be added."
    )


class DelegationFilterSerializer(_Conditions):
    """At least one condition; nothing else would be meant so."""


class RevokeDelegations(StrictSerializer):
    """What to revoke: first with `dry_run`, then with the `confirm` of that answer."""

    filter = DelegationFilterSerializer()
    dry_run = StrictBooleanField(default=True)
    confirm = StrictTextField(required=False, max_length=400)
    reason = StrictTextField(
        required=False, max_length=255, help_text="Needed unless it is a dry run."
    )
    limit = StrictIntegerField(
        default=limits.MAX_REVOKED,
        min_value=1,
        max_value=limits.MAX_REVOKED,
        help_text="How many of those found end in one call, each with all below it.",
    )


class DelegationsRevoked(StrictSerializer):
    """What one call did, and what is left."""

    dry_run = serializers.BooleanField()
    ended = serializers.IntegerField()
    remaining = BoundedCount()
    next = RevocationPreview(
        allow_null=True, help_text="What the next call would stop; of dry runs only."
    )
    confirm = serializers.CharField(help_text="Goes into the next call; good for an hour.")
