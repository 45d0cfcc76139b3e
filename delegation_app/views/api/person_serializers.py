"""What the interface for people reads and tells."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rest_framework import serializers

from delegation_app.services.connections.detail import Node
from delegation_app.services.connections.listing import PAGE, Show
from delegation_app.services.delegations import state
from delegation_app.views.api.fields import Moment, Names, PairsAs, Text, Whole
from delegation_app.views.api.serializers import MOST, MaybeReason, Shape, Tokens


class ConnectionScope(PairsAs):
    """A scope and what it means."""

    name = serializers.CharField()
    description = serializers.CharField()


class ConnectionRow(Shape):
    """What an app may do for the person who is signed in."""

    delegation_id = serializers.UUIDField(source="key")
    app = serializers.CharField(help_text="By name; one that was deleted by its client id.")
    state = serializers.ChoiceField(choices=state.State.values)
    scopes = ConnectionScope(many=True)
    services = serializers.ListField(child=serializers.CharField(), help_text="Where, by name.")
    granted_at = Moment(source="granted")
    expires_at = Moment(source="expires", allow_null=True)
    last_used_at = Moment(source="used", allow_null=True)
    last_used_from = serializers.CharField(
        source="origin", help_text="The network of the last token request; may be empty."
    )
    live_tokens = serializers.IntegerField()
    sub_delegations = serializers.IntegerField(
        source="passed_on", help_text="Live ones that were made from it."
    )


class ConnectionPage(Shape):
    """Connections, newest first."""

    connections = ConnectionRow(many=True)
    next = serializers.CharField(
        allow_null=True, help_text="The `cursor` of the next page; null at the end."
    )


class ConnectionQuery(Shape):
    """Which connections."""

    show = serializers.ChoiceField(choices=[str(show.value) for show in Show], default="live")
    unused_days = Whole(
        required=False,
        min_value=1,
        max_value=3650,
        help_text="Only those that are live and were not used for so many days.",
    )
    app = Text(required=False, max_length=255, help_text="A client id.")
    limit = Whole(default=PAGE, min_value=1, max_value=MOST)
    cursor = Text(required=False, max_length=400)


class ConnectionEvent(Shape):
    """Something that happened."""

    at = Moment(source="when")
    text = serializers.CharField()


class ConnectionAnswer(Shape):
    """What the person was asked, and said."""

    was_asked = serializers.BooleanField(help_text="Not so for apps that the site trusts.")
    on_a_device = serializers.BooleanField()
    at = Moment(source="when")
    origin = serializers.CharField()
    granted = ConnectionScope(many=True)
    refused = ConnectionScope(many=True)


class ConnectionNode(Shape):
    """One delegation of the tree; `parent_id` says below which it stands."""

    delegation_id = serializers.UUIDField()
    parent_id = serializers.UUIDField(allow_null=True)
    app = serializers.CharField()
    state = serializers.ChoiceField(choices=state.State.values)
    scopes = serializers.ListField(child=serializers.CharField())
    services = serializers.ListField(child=serializers.CharField())


class ConnectionEnding(Tokens):
    """What would end."""

    connections = serializers.IntegerField(source="opened")
    sub_delegations = serializers.IntegerField(source="passed_on")
    apps = serializers.ListField(child=serializers.CharField())
    services = serializers.ListField(child=serializers.CharField())
    access_tokens = serializers.IntegerField(source="counts.access_tokens")
    refresh_tokens = serializers.IntegerField(source="counts.refresh_tokens")
    offline_until = Moment(source="counts.offline_until", allow_null=True)
    noticed_within_seconds = serializers.IntegerField(
        source="seconds", help_text="Services that verify by themselves notice after that time."
    )


class ConnectionsEnding(Shape):
    """What ending everything would end."""

    ending = ConnectionEnding()
    confirm = serializers.CharField(
        help_text="Goes into the request that does it; good for this person and an hour."
    )


class Connection(Shape):
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
    renews_until = Moment(allow_null=True)


class ConnectionWithEnding(Connection):
    """The same, with what ending it would end."""

    ending = ConnectionEnding()


class NarrowConnection(Shape):
    """What shall be left; what is left out stays as it is."""

    scopes = Names(required=False, help_text="Those to keep.")
    expires_at = Moment(required=False)


class EndConnection(MaybeReason):
    """How to end one."""


class EndConnectionsQuery(Shape):
    """Of which app; of all if it is left out."""

    app = Text(required=False, max_length=255, default="", help_text="A client id.")


class EndConnections(MaybeReason):
    """That everything shall end, or everything of one app."""

    confirm = Text(max_length=400)
    app = Text(required=False, max_length=255, default="")


def flat(node: Node, parent: str | None = None) -> Iterator[dict[str, Any]]:
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
