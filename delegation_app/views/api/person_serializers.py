"""What the interface for people reads and tells."""

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
    """A scope and what it means."""

    name = serializers.CharField()
    description = serializers.CharField()


class ConnectionRow(StrictSerializer):
    """What an app may do for the person who is signed in."""

    delegation_id = serializers.UUIDField(source="key")
    app = serializers.CharField(help_text="By name; one that was deleted by its client id.")
    state = serializers.ChoiceField(choices=state.State.values)
    scopes = ConnectionScope(many=True)
    services = serializers.ListField(child=serializers.CharField(), help_text="Where, by name.")
    granted_at = StrictDateTimeField(source="granted")
    expires_at = StrictDateTimeField(source="expires", allow_null=True)
    last_used_at = StrictDateTimeField(source="used", allow_null=True)
    last_used_from = serializers.CharField(
        source="origin", help_text="The network of the last token request; may be empty."
    )
    live_tokens = serializers.IntegerField()
    sub_delegations = serializers.IntegerField(
        source="passed_on", help_text="Live ones that were made from it."
    )


class ConnectionPage(StrictSerializer):
    """Connections, newest first."""

    connections = ConnectionRow(many=True)
    next = serializers.CharField(
        allow_null=True, help_text="The `cursor` of the next page; null at the end."
    )


class ConnectionQuerySerializer(StrictSerializer):
    """Which connections."""

    show = serializers.ChoiceField(choices=[str(show.value) for show in Show], default="live")
    unused_days = StrictIntegerField(
        required=False,
        min_value=1,
        max_value=3650,
        help_text="Only those that are live and were not used for so many days.",
    )
    app = StrictTextField(required=False, max_length=255, help_text="A client id.")
    limit = StrictIntegerField(default=PAGE, min_value=1, max_value=MOST)
    cursor = StrictTextField(required=False, max_length=400)


class ConnectionEvent(StrictSerializer):
    """Something that happened."""

    at = StrictDateTimeField(source="when")
    text = serializers.CharField()


class ConnectionAnswer(StrictSerializer):
    """What the person was asked, and said."""

    was_asked = serializers.BooleanField(help_text="Not so for apps that the site trusts.")
    on_a_device = serializers.BooleanField()
    at = StrictDateTimeField(source="when")
    origin = serializers.CharField()
    granted = ConnectionScope(many=True)
    refused = ConnectionScope(many=True)


class ConnectionNode(StrictSerializer):
    """One delegation of the tree; `parent_id` says below which it stands."""

    delegation_id = serializers.UUIDField()
    parent_id = serializers.UUIDField(allow_null=True)
    app = serializers.CharField()
    state = serializers.ChoiceField(choices=state.State.values)
    scopes = serializers.ListField(child=serializers.CharField())
    services = serializers.ListField(child=serializers.CharField())


class ConnectionEnding(TokenCountsSerializer):
    """What would end."""

    connections = serializers.IntegerField(source="opened")
    sub_delegations = serializers.IntegerField(source="passed_on")
    apps = serializers.ListField(child=serializers.CharField())
    services = serializers.ListField(child=serializers.CharField())
    access_tokens = serializers.IntegerField(source="counts.access_tokens")
    refresh_tokens = serializers.IntegerField(source="counts.refresh_tokens")
    offline_until = StrictDateTimeField(source="counts.offline_until", allow_null=True)
    noticed_within_seconds = serializers.IntegerField(
        source="seconds", help_text="Services that verify by themselves notice after that time."
    )


class ConnectionsEnding(StrictSerializer):
    """What ending everything would end."""

    ending = ConnectionEnding()
    confirm = serializers.CharField(
        help_text="Goes into the request that does it; good for this person and an hour."
    )


class ConnectionSerializer(StrictSerializer):
    """One connection and all around it."""

    connection = ConnectionRow()
    passed_on_by = serializers.CharField(help_text="Empty for one that the person opened.")
    root_id = serializers.UUIDField(source="root")
    limits = serializers.ListField(child=serializers.CharField())
    answer = ConnectionAnswer(allow_null=True)
    tree = ConnectionNode(many=True, help_text="From the root down.")
    is_tree_cut = serializers.BooleanField(source="is_cut")
    timeline = ConnectionEvent(source="past", many=True)
    ended_by = serializers.CharField()
    reason = serializers.CharField(source="why")
    renews_until = StrictDateTimeField(allow_null=True)


class ConnectionWithEnding(ConnectionSerializer):
    """The same, with what ending it would end."""

    ending = ConnectionEnding()


class NarrowConnection(StrictSerializer):
    """What shall be left; what is left out stays as it is."""

    scopes = NameListField(required=False, help_text="Those to keep.")
    expires_at = StrictDateTimeField(required=False)


class EndConnection(MaybeReason):
    """How to end one."""


class EndConnectionsQuery(StrictSerializer):
    """Of which app; of all if it is left out."""

    app = StrictTextField(required=False, max_length=255, default="", help_text="A client id.")


class EndConnections(MaybeReason):
    """That everything shall end, or everything of one app."""

    confirm = StrictTextField(max_length=400)
    app = StrictTextField(required=False, max_length=255, default="")


def flat(node: ConnectionTreeNode, parent: str | None = None) -> Iterator[dict[str, Any]]:
    """Return a tree as a list, each node after the one above it."""
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
