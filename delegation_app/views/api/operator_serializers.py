"""The request and response bodies of the API for operators."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from delegation_app.services import limits
from delegation_app.services.clients import grant_types
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
    """The delegate."""

    client_id = serializers.CharField(source="delegate_client_id")
    name = serializers.SerializerMethodField(help_text="Empty for a deleted client.")

    def get_name(self, row: Any) -> str:
        return "" if row.delegate is None else str(row.delegate)


class DelegationRow(StrictSerializer):
    """A delegation: its principal, its delegate, its scope and its lifetime."""

    delegation_id = serializers.UUIDField(source="public_id")
    state = StateField()
    subject = serializers.CharField(help_text="The principal, as `sub` of its tokens.")
    user = serializers.SerializerMethodField(
        help_text="The user name of the principal; null for a client."
    )
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
        user = row.principal_user
        return None if user is None else user.get_username()

    def get_parent_id(self, row: Any) -> str | None:
        return row.chain[-2] if row.depth else None


class DelegationPage(StrictSerializer):
    """Delegations, newest first."""

    delegations = DelegationRow(many=True)
    next = serializers.CharField(
        allow_null=True,
        help_text="The `cursor` of the next page; null at the end. Any page may be short.",
    )


class BoundedCount(StrictSerializer):
    """A count with an upper bound."""

    count = serializers.IntegerField()
    has_more = serializers.BooleanField(help_text="Whether the count exceeds its bound.")


class DelegationSerializer(DelegationRow):
    """A delegation with all of its constraints."""

    constraints = serializers.ListField(child=serializers.JSONField(), source="constraint_list")
    limits = serializers.ListField(
        child=serializers.CharField(), help_text="The constraints in words."
    )
    chain = serializers.ListField(
        child=serializers.UUIDField(), help_text="From the root to this delegation."
    )
    actors = serializers.JSONField(help_text="The actors, the current one first.")
    children = BoundedCount(source="counted_children")
    consent = serializers.UUIDField(
        source="answered_by", allow_null=True, help_text="The consent record it is based on."
    )
    auth_time = StrictDateTimeField(allow_null=True)
    acr = serializers.CharField()
    uses = serializers.IntegerField(help_text="Issued tokens, if their number is limited.")
    max_uses = serializers.IntegerField(allow_null=True)


class _Conditions(StrictSerializer):
    """The conditions of a filter; all must match."""

    state = serializers.ChoiceField(choices=state.State.values, required=False)
    subject = StrictTextField(required=False)
    user = StrictTextField(required=False, max_length=255, help_text="A user name.")
    client = StrictTextField(required=False, max_length=255, help_text="A client id.")
    grant_type = serializers.ChoiceField(choices=list(grant_types.LABELS), required=False)
    audience = StrictTextField(required=False, help_text="The identifier of a resource server.")
    issued_after = StrictDateTimeField(required=False)
    issued_before = StrictDateTimeField(required=False)
    last_used_before = StrictDateTimeField(
        required=False, help_text="Last used before; if never used, issued before."
    )
    parent_id = DelegationId(required=False)
    root_id = DelegationId(required=False)
    has_children = StrictBooleanField(required=False)


class DelegationQuery(_Conditions):
    """A filter and a page."""

    limit = StrictIntegerField(default=50, min_value=1, max_value=MOST)
    cursor = StrictTextField(required=False, max_length=400)


class RevocationPreview(TokenCountsSerializer):
    """The effects of a revocation."""

    delegations = serializers.IntegerField()
    clients = serializers.IntegerField()
    people = serializers.IntegerField()


class RevokeDelegation(Reason):
    """The reason for a revocation."""


class NarrowDelegation(Reason):
    """The remaining scope and audience. Omitted members do not change."""

    scopes = NameListField(required=False, help_text="The scopes to keep.")
    audience = NameListField(required=False, help_text="The resource servers to keep.")
    expires_at = StrictDateTimeField(required=False)
    constraints = serializers.ListField(
        child=serializers.JSONField(), required=False, help_text="Constraints to add."
    )


class DelegationFilterSerializer(_Conditions):
    """A filter with at least one condition."""


class RevokeDelegations(StrictSerializer):
    """A bulk revocation: first with `dry_run`, then with the `confirm` of its response."""

    filter = DelegationFilterSerializer()
    dry_run = StrictBooleanField(default=True)
    confirm = StrictTextField(required=False, max_length=400)
    reason = StrictTextField(
        required=False, max_length=255, help_text="Required unless it is a dry run."
    )
    limit = StrictIntegerField(
        default=limits.MAX_REVOKED,
        min_value=1,
        max_value=limits.MAX_REVOKED,
        help_text="How many matching delegations one call revokes, each with its descendants.",
    )


class DelegationsRevoked(StrictSerializer):
    """The result of a call, and the remaining delegations."""

    dry_run = serializers.BooleanField()
    ended = serializers.IntegerField()
    remaining = BoundedCount()
    next = RevocationPreview(
        allow_null=True, help_text="The effects of the next call; null unless it is a dry run."
    )
    confirm = serializers.CharField(help_text="For the next call; valid for an hour.")
