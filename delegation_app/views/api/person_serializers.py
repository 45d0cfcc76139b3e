"""The request and response bodies of the API for users."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rest_framework import serializers

from delegation_app.services.connections.detail import ConnectionTreeNode
from delegation_app.services.connections.listing import PAGE, Show
from delegation_app.services.delegations import state
from delegation_app.views.api.fields import (
    NameListField,
    PairsAs,
    StrictDateTimeField,
    StrictIntegerField,
    StrictTextField,
)
from delegation_app.views.api.serializers import (
    MOST,
    MaybeReason,
    StrictSerializer,
    TokenCountsSerializer,
)


class ConnectionScope(PairsAs):
    """A scope and its description."""

    name = serializers.CharField()
    description = serializers.CharField()


class ConnectionRow(StrictSerializer):
    """A connection of the signed-in user."""

    delegation_id = serializers.UUIDField(source="key")
    app = serializers.CharField(help_text="The name of the app; the client id of a deleted one.")
    state = serializers.ChoiceField(choices=state.State.values)
    scopes = ConnectionScope(many=True)
    services = serializers.ListField(
        child=serializers.CharField(), help_text="The names of the resource servers."
    )
    granted_at = StrictDateTimeField(source="granted")
    expires_at = StrictDateTimeField(source="expires", allow_null=True)
    last_used_at = StrictDateTimeField(source="used", allow_null=True)
    last_used_from = serializers.CharField(
        source="origin", help_text="The network of the last token request; may be empty."
    )
    live_tokens = serializers.IntegerField()
    sub_delegations = serializers.IntegerField(
        source="passed_on", help_text="Live delegations below it."
    )


class ConnectionPage(StrictSerializer):
    """Connections, newest first."""

    connections = ConnectionRow(many=True)
    next = serializers.CharField(
        allow_null=True, help_text="The `cursor` of the next page; null at the end."
    )


class ConnectionQuerySerializer(StrictSerializer):
    """A filter and a page."""

    show = serializers.ChoiceField(choices=[str(show.value) for show in Show], default="live")
    unused_days = StrictIntegerField(
        required=False,
        min_value=1,
        max_value=3650,
        help_text="Only live connections without a use for this number of days.",
    )
    app = StrictTextField(required=False, max_length=255, help_text="A client id.")
    limit = StrictIntegerField(default=PAGE, min_value=1, max_value=MOST)
    cursor = StrictTextField(required=False, max_length=400)


class ConnectionEvent(StrictSerializer):
    """An event of the timeline."""

    at = StrictDateTimeField(source="when")
    text = serializers.CharField()


class ConnectionAnswer(StrictSerializer):
    """The consent of the user."""

    was_asked = serializers.BooleanField(help_text="False for apps that the site trusts.")
    on_a_device = serializers.BooleanField()
    at = StrictDateTimeField(source="when")
    origin = serializers.CharField()
    granted = ConnectionScope(many=True)
    refused = ConnectionScope(many=True)


class ConnectionNode(StrictSerializer):
    """A delegation of the tree; `parent_id` is its parent."""

    delegation_id = serializers.UUIDField()
    parent_id = serializers.UUIDField(allow_null=True)
    app = serializers.CharField()
    state = serializers.ChoiceField(choices=state.State.values)
    scopes = serializers.ListField(child=serializers.CharField())
    services = serializers.ListField(child=serializers.CharField())


class ConnectionEnding(TokenCountsSerializer):
    """The effects of ending a connection."""

    connections = serializers.IntegerField(source="opened")
    sub_delegations = serializers.IntegerField(source="passed_on")
    apps = serializers.ListField(child=serializers.CharField())
    services = serializers.ListField(child=serializers.CharField())
    access_tokens = serializers.IntegerField(source="counts.access_tokens")
    refresh_tokens = serializers.IntegerField(source="counts.refresh_tokens")
    offline_until = StrictDateTimeField(source="counts.offline_until", allow_null=True)
    noticed_within_seconds = serializers.IntegerField(
        source="seconds", help_text="Offline verifiers refuse its tokens after this time."
    )


class ConnectionsEnding(StrictSerializer):
    """The effects of ending all connections."""

    ending = ConnectionEnding()
    confirm = serializers.CharField(
        help_text="For the request that ends them; valid for this user and for an hour."
    )


class ConnectionSerializer(StrictSerializer):
    """A connection with its consent, tree and timeline."""

    connection = ConnectionRow()
    passed_on_by = serializers.CharField(help_text="The app of its parent; empty for a root.")
    root_id = serializers.UUIDField(source="root")
    limits = serializers.ListField(child=serializers.CharField())
    answer = ConnectionAnswer(allow_null=True)
    tree = ConnectionNode(many=True, help_text="The root first.")
    is_tree_cut = serializers.BooleanField(source="is_cut")
    timeline = ConnectionEvent(source="past", many=True)
    ended_by = serializers.CharField()
    reason = serializers.CharField(source="why")
    renews_until = StrictDateTimeField(allow_null=True)


class ConnectionWithEnding(ConnectionSerializer):
    """A connection with the effects of ending it."""

    ending = ConnectionEnding()


class NarrowConnection(StrictSerializer):
    """The remaining scopes and lifetime. Omitted members do not change."""

    scopes = NameListField(required=False, help_text="The scopes to keep.")
    expires_at = StrictDateTimeField(required=False)


class EndConnection(MaybeReason):
    """The reason for ending a connection."""


class EndConnectionsQuery(StrictSerializer):
    """The app whose connections end; without it, all end."""

    app = StrictTextField(required=False, max_length=255, default="", help_text="A client id.")


class EndConnections(MaybeReason):
    """The confirmation of ending all connections, or all of one app."""

    confirm = StrictTextField(max_length=400)
    app = StrictTextField(required=False, max_length=255, default="")


def flat(node: ConnectionTreeNode, parent: str | None = None) -> Iterator[dict[str, Any]]:
    """Return a tree as a list, each node after its parent."""
    yield {
        "delegation_id": node.key,
        "parent_id": parent,
        "app": node.app,
        "state": node.state.value,
        "scopes": node.scopes,
        "services": node.services,
    }
    for child in node.children:
        yield from flat(child, node.key)
