"""People look at what apps may do for them, and end or narrow it: `/connections/api/`."""

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
from delegation_app.views.api import person_serializers as shapes
from delegation_app.views.api import serializers
from delegation_app.views.api.endpoint import Operation, PersonEndpoint
from delegation_app.views.api.errors import PreviewNeeded
from delegation_app.views.api.signing import sign, verify

CONFIRM_WITHIN: Final = 3600


class ConnectionListView(PersonEndpoint):
    """Those that the person opened."""

    operations: ClassVar = {
        "GET": Operation(
            "listConnections",
            "List what apps may do for you, newest first.",
            answer=shapes.ConnectionPage,
            query=shapes.ConnectionQuerySerializer,
        )
    }

    def get(self, request: Request) -> Response:
        """List them."""
        del request
        given = self.given()
        limit, cursor = given.pop("limit"), given.pop("cursor", None)
        chosen, person = _chosen(given), self.person
        # Whose list it is, and of what: another person's or another list's cursor is none
        bound = ("connections", person.subject, given)
        before = "" if cursor is None else verify(cursor, *bound)
        if before is None:
            raise InvalidRequest("The cursor is none of this list.")
        page = ConnectionQuery(chosen.show, chosen.app, chosen.unused, limit, before)
        listing = connection_listing.listed(person.user, page)
        following = sign(listing.older, *bound) if listing.older else None
        return self.told({"connections": listing.rows, "next": following})


class ConnectionView(PersonEndpoint):
    """One of them, or one that was made from it."""

    operations: ClassVar = {
        "GET": Operation(
            "getConnection",
            "Tell all about a connection: its answer, tree and past, and what ending it would end.",
            answer=shapes.ConnectionWithEnding,
            also=(404,),
        )
    }

    def get(self, request: Request, key: str) -> Response:
        """Tell it."""
        del request
        self.given()
        row = connection_listing.owned(self.person.user, key)
        return self.told(_whole(self.person.user, row) | {"ending": actions.of_one(row)})


class NarrowConnectionView(PersonEndpoint):
    """Let an app do less, or not for so long."""

    operations: ClassVar = {
        "POST": Operation(
            "narrowConnection",
            "Leave only some scopes, or an earlier end, at once for all tokens.",
            answer=shapes.ConnectionSerializer,
            body=shapes.NarrowConnection,
            also=(404,),
        )
    }

    def post(self, request: Request, key: str) -> Response:
        """Narrow it."""
        del request
        person = self.person
        row, given = connection_listing.owned(person.user, key), self.given()
        kept = Scope(given["scopes"]) if "scopes" in given else None
        to = Narrowing(scope=kept, expires_at=given.get("expires_at"))
        actions.narrow(row, to, self.origin)
        return self.told(_whole(person.user, connection_listing.owned(person.user, key)))


class EndConnectionView(PersonEndpoint):
    """End one, with all that was made from it."""

    operations: ClassVar = {
        "GET": Operation(
            "previewEndOfConnection",
            "Tell what ending a connection would end.",
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
        """Tell what would end."""
        del request
        self.given()
        return self.told(actions.of_one(connection_listing.owned(self.person.user, key)))

    def post(self, request: Request, key: str) -> Response:
        """End it."""
        del request
        row, given = connection_listing.owned(self.person.user, key), self.given()
        ended = actions.end(row, self.origin, reason=given["reason"])
        return self.told({"ended": ended})


class EndConnectionsView(PersonEndpoint):
    """End everything, or everything of one app."""

    operations: ClassVar = {
        "GET": Operation(
            "previewEndOfAll",
            "Tell what ending everything would end, and what confirms that.",
            answer=shapes.ConnectionsEnding,
            query=shapes.EndConnectionsQuery,
            also=(404,),
        ),
        "POST": Operation(
            "endAll",
            "End everything that the preview listed. This cannot be undone.",
            answer=serializers.DelegationsEnded,
            body=shapes.EndConnections,
            also=(404, 409),
        ),
    }

    def get(self, request: Request) -> Response:
        """Tell what would end."""
        del request
        app, person = self.given()["app"], self.person
        ending = actions.of_all(person.user, app)
        confirm = sign(str(int(clock.now().timestamp())), "end", person.subject, app)
        return self.told({"ending": ending, "confirm": confirm})

    def post(self, request: Request) -> Response:
        """End it."""
        del request
        given, person = self.given(), self.person
        at = verify(given["confirm"], "end", person.subject, given["app"])
        # Also where somebody else signed in since the preview
        if at is None or clock.now().timestamp() - int(at) > CONFIRM_WITHIN:
            raise PreviewNeeded("Ask first what would end, and send the `confirm` of that answer.")
        ended = actions.end_all(
            person.user, self.origin, reason=given["reason"], client_id=given["app"]
        )
        return self.told({"ended": ended})


def _chosen(given: dict[str, Any]) -> ConnectionQuery:
    show, app = Show(given["show"]), given.get("app", "")
    if "unused_days" not in given:
        return ConnectionQuery(show, app)
    if show is Show.ALL:
        raise InvalidRequest("Only what is live can be asked for by its use.")
    return ConnectionQuery(Show.UNUSED, app, timedelta(days=given["unused_days"]))


def _whole(person: Any, row: Any) -> dict[str, Any]:
    found = detail.load(person, row)
    told = {name: getattr(found, name) for name in found.__slots__}
    return told | {"tree": list(shapes.flat(found.tree))}
