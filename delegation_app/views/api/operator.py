"""The API for operators to find, narrow and revoke delegations: `/delegations/api/`."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from rest_framework.request import Request
from rest_framework.response import Response

from delegation_app.protocol.audience import Audience
from delegation_app.protocol.constraints import Constraints
from delegation_app.protocol.scope import Scope
from delegation_app.services.delegations import bulk, listing, selection
from delegation_app.services.delegations.filters import DelegationFilter
from delegation_app.services.delegations.narrowing import Narrowing
from delegation_app.services.delegations.selection import preview
from delegation_app.services.paging import SignedCursors
from delegation_app.views.api import operator_serializers as shapes
from delegation_app.views.api import serializers
from delegation_app.views.api.endpoint import Operation, OperatorEndpoint

# Parameters that `DelegationFilter` names differently
_NAMES: Final = {
    "client": "client_id",
    "last_used_before": "not_used_after",
    "parent_id": "parent",
    "root_id": "root",
}


class DelegationListView(OperatorEndpoint):
    """All delegations."""

    operations: ClassVar = {
        "GET": Operation(
            "listDelegations",
            "List delegations, newest first.",
            answer=shapes.DelegationPage,
            query=shapes.DelegationQuery,
        )
    }

    def get(self, request: Request) -> Response:
        del request
        given = self.given()
        limit, cursor = given.pop("limit"), given.pop("cursor", None)
        cursors = SignedCursors("delegations", given)
        page = listing.page(chosen(given), limit, cursors.read(cursor))
        return self.told({"delegations": page.rows, "next": cursors.text(page.older) or None})


class DelegationView(OperatorEndpoint):
    """One delegation."""

    operations: ClassVar = {
        "GET": Operation(
            "getDelegation",
            "Get a delegation with all its limits.",
            answer=shapes.DelegationSerializer,
            also=(404,),
        )
    }

    def get(self, request: Request, key: str) -> Response:
        del request
        self.given()
        return self.told(_whole(listing.find(key)))


class NarrowDelegationView(OperatorEndpoint):
    """Narrow one delegation and everything below it."""

    needs = "narrow"
    operations: ClassVar = {
        "POST": Operation(
            "narrowDelegation",
            "Narrow a delegation and everything below it, with immediate effect on all tokens.",
            answer=shapes.DelegationSerializer,
            body=shapes.NarrowDelegation,
            also=(404,),
        )
    }

    def post(self, request: Request, key: str) -> Response:
        del request
        row, given = listing.find(key), self.given()
        to = Narrowing(
            scope=Scope(given["scopes"]) if "scopes" in given else None,
            audience=Audience(given["audience"]) if "audience" in given else None,
            expires_at=given.get("expires_at"),
            constraints=Constraints.parse(given.get("constraints", [])),
        )
        bulk.narrow_one(row, to, self.origin, reason=given["reason"])
        return self.told(_whole(listing.find(key)))


class RevokeDelegationView(OperatorEndpoint):
    """Revoke one delegation and everything below it."""

    needs = "revoke"
    operations: ClassVar = {
        "GET": Operation(
            "previewRevocation",
            "Preview what revoking a delegation would end.",
            answer=shapes.RevocationPreview,
            also=(404,),
        ),
        "POST": Operation(
            "revokeDelegation",
            "Revoke a delegation and everything below it. This cannot be undone.",
            answer=serializers.DelegationsEnded,
            body=shapes.RevokeDelegation,
            also=(404,),
        ),
    }

    def get(self, request: Request, key: str) -> Response:
        del request
        self.given()
        return self.told(preview([selection.subtree(listing.find(key))]))

    def post(self, request: Request, key: str) -> Response:
        del request
        row, given = listing.find(key), self.given()
        ended = bulk.revoke_one(row, self.origin, reason=given["reason"])
        return self.told({"ended": ended})


def chosen(given: dict[str, Any]) -> DelegationFilter:
    """Return the filter for validated conditions."""
    found = {_NAMES.get(name, name): value for name, value in given.items()}
    return DelegationFilter(
        **found | {name: str(found[name]) for name in ("parent", "root") if name in found}
    )


def _whole(row: Any) -> Any:
    # The serializer reads attributes; these have no column
    row.constraint_list = row.constraints.as_json()
    row.limits = row.constraints.describe()
    row.counted_children = listing.children(row)
    row.answered_by = None if row.consent is None else row.consent.public_id
    return row
