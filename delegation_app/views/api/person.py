"""The API for users to list, narrow and end their connections: `/connections/api/`."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar, Final

from rest_framework.request import Request
from rest_framework.response import Response

from delegation_app import clock
from delegation_app.protocol.errors import InvalidRequest
from delegation_app.protocol.scope import Scope
from delegation_app.services.connections import actions, detail
from delegation_app.services.connections import listing as connection_listing
from delegation_app.services.connections.listing import ConnectionQuery, Show
from delegation_app.services.delegations.narrowing import Narrowing
from delegation_app.services.paging import SignedCursors
from delegation_app.services.signed_text import sign, verify
from delegation_app.views.api import person_serializers as shapes
from delegation_app.views.api import serializers
from delegation_app.views.api.endpoint import Operation, PersonEndpoint
from delegation_app.views.api.errors import PreviewNeeded

CONFIRM_WITHIN: Final = 3600


class ConnectionListView(PersonEndpoint):
    """The root delegations of the user."""

    operations: ClassVar = {
        "GET": Operation(
            "listConnections",
            "List what apps may do for you, newest first.",
            answer=shapes.ConnectionPage,
            query=shapes.ConnectionQuerySerializer,
        )
    }

    def get(self, request: Request) -> Response:
        del request
        given = self.given()
        limit, cursor = given.pop("limit"), given.pop("cursor", None)
        person = self.person
        cursors = SignedCursors("connections", person.subject, given)
        query = _query(given, size=limit, cursor=cursors.read(cursor))
        page = connection_listing.page(person.user, query)
        return self.told({"connections": page.rows, "next": cursors.text(page.older) or None})


class ConnectionView(PersonEndpoint):
    """One connection, or a delegation below it."""

    operations: ClassVar = {
        "GET": Operation(
            "getConnection",
            "Get a connection with its consent, tree and timeline, and what ending it would end.",
            answer=shapes.ConnectionWithEnding,
            also=(404,),
        )
    }

    def get(self, request: Request, key: str) -> Response:
        del request
        self.given()
        row = connection_listing.owned(self.person.user, key)
        return self.told(_whole(self.person.user, row) | {"ending": actions.of_one(row)})


class NarrowConnectionView(PersonEndpoint):
    """Reduce the scope of an app, or end it earlier."""

    operations: ClassVar = {
        "POST": Operation(
            "narrowConnection",
            "Keep only some scopes, or end earlier, with immediate effect on all tokens.",
            answer=shapes.ConnectionSerializer,
            body=shapes.NarrowConnection,
            also=(404,),
        )
    }

    def post(self, request: Request, key: str) -> Response:
        del request
        person = self.person
        row, given = connection_listing.owned(person.user, key), self.given()
        kept = Scope(given["scopes"]) if "scopes" in given else None
        to = Narrowing(scope=kept, expires_at=given.get("expires_at"))
        actions.narrow(row, to, self.origin)
        return self.told(_whole(person.user, connection_listing.owned(person.user, key)))


class EndConnectionView(PersonEndpoint):
    """End one connection and everything below it."""

    operations: ClassVar = {
        "GET": Operation(
            "previewEndOfConnection",
            "Preview what ending a connection would end.",
            answer=shapes.ConnectionEnding,
            also=(404,),
        ),
        "POST": Operation(
            "endConnection",
            "End a connection and everything below it. This cannot be undone.",
            answer=serializers.DelegationsEnded,
            body=shapes.EndConnection,
            also=(404,),
        ),
    }

    def get(self, request: Request, key: str) -> Response:
        del request
        self.given()
        return self.told(actions.of_one(connection_listing.owned(self.person.user, key)))

    def post(self, request: Request, key: str) -> Response:
        del request
        row, given = connection_listing.owned(self.person.user, key), self.given()
        ended = actions.end(row, self.origin, reason=given["reason"])
        return self.told({"ended": ended})


class EndConnectionsView(PersonEndpoint):
    """End all connections of the user, or all of one app."""

    operations: ClassVar = {
        "GET": Operation(
            "previewEndOfAll",
            "Preview what ending all connections would end, with the `confirm` for that.",
            answer=shapes.ConnectionsEnding,
            query=shapes.EndConnectionsQuery,
            also=(404,),
        ),
        "POST": Operation(
            "endAll",
            "End all connections of the preview. This cannot be undone.",
            answer=serializers.DelegationsEnded,
            body=shapes.EndConnections,
            also=(404, 409),
        ),
    }

    def get(self, request: Request) -> Response:
        del request
        app, person = self.given()["app"], self.person
        ending = actions.of_all(person.user, app)
        confirm = sign(str(int(clock.now().timestamp())), "end", person.subject, app)
        return self.told({"ending": ending, "confirm": confirm})

    def post(self, request: Request) -> Response:
        del request
        given, person = self.given(), self.person
        at = verify(given["confirm"], "end", person.subject, given["app"])
        # Also if another user has signed in since the preview
        if at is None or clock.now().timestamp() - int(at) > CONFIRM_WITHIN:
            raise PreviewNeeded("Get the preview first, and send the `confirm` of its answer.")
        ended = actions.end_all(
            person.user, self.origin, reason=given["reason"], client_id=given["app"]
        )
        return self.told({"ended": ended})


def _query(given: dict[str, Any], **page: Any) -> ConnectionQuery:
    show, app = Show(given["show"]), given.get("app", "")
    if "unused_days" not in given:
        return ConnectionQuery(show, app, **page)
    if show is Show.ALL:
        raise InvalidRequest("unused_days cannot be combined with show=all.")
    return ConnectionQuery(Show.UNUSED, app, timedelta(days=given["unused_days"]), **page)


def _whole(person: Any, row: Any) -> dict[str, Any]:
    found = detail.load(person, row)
    members = {name: getattr(found, name) for name in found.__slots__}
    return members | {"tree": list(shapes.flat(found.tree))}
