"""Operators find delegations and deal with one of them: `/delegations/api/`."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from rest_framework.request import Request
from rest_framework.response import Response

from delegation_app.protocol.audience import Audience
from delegation_app.protocol.constraints import Constraints
from delegation_app.protocol.errors import InvalidRequest
from delegation_app.protocol.scope import Scope
from delegation_app.services.delegations import bulk, listing
from delegation_app.services.delegations.filters import DelegationFilter
from delegation_app.services.delegations.narrowing import Narrowing
from delegation_app.views.api import operator_serializers as shapes
from delegation_app.views.api import serializers
from delegation_app.views.api.endpoint import Operation, OperatorEndpoint
from delegation_app.views.api.signing import sign, verify

# What the interface calls otherwise than `DelegationFilter`
_NAMES: Final = {
    "client": "client_id",
    "last_used_before": "not_used_after",
    "parent_id": "parent",
    "root_id": "root",
}


class DelegationListView(OperatorEndpoint):
    """All of them."""

    operations: ClassVar = {
        "GET": Operation(
            "listDelegations",
            "List delegations, newest first.",
            answer=shapes.DelegationPage,
            query=shapes.DelegationQuery,
        )
    }

    def get(self, request: Request) -> Response:
        """List them."""
        del request
        given = self.given()
        limit, cursor = given.pop("limit"), given.pop("cursor", None)
        bound = ("delegations", as_text(given))
        after = "" if cursor is None else verify(cursor, *bound)
        if after is None:
            raise InvalidRequest("The cursor is none of this list.")
        page = listing.listed(chosen(given), limit, after)
        following = sign(page.older, *bound) if page.older else None
        return self.told({"delegations": page.rows, "next": following})


class DelegationView(OperatorEndpoint):
    """One of them."""

    operations: ClassVar = {
        "GET": Operation(
            "getDelegation",
            "Tell all about a delegation.",
            answer=shapes.DelegationSerializer,
            also=(404,),
        )
    }

    def get(self, request: Request, key: str) -> Response:
        """Tell it."""
        del request
        self.given()
        return self.told(_whole(listing.find(key)))


class NarrowDelegationView(OperatorEndpoint):
    """Take away from one and from all below it."""

    needs = "narrow"
    operations: ClassVar = {
        "POST": Operation(
            "narrowDelegation",
            "Leave less of a delegation and of all below it, at once for all tokens.",
            answer=shapes.DelegationSerializer,
            body=shapes.NarrowDelegation,
            also=(404,),
        )
    }

    def post(self, request: Request, key: str) -> Response:
        """Narrow it."""
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
    """End one and all below it."""

    needs = "revoke"
    operations: ClassVar = {
        "GET": Operation(
            "previewRevocation",
            "Tell what revoking a delegation would stop.",
            answer=shapes.RevocationPreview,
            also=(404,),
        ),
        "POST": Operation(
            "revokeDelegation",
            "Revoke a delegation and all below it. It can't be undone.",
            answer=serializers.DelegationsEnded,
            body=shapes.RevokeDelegation,
            also=(404,),
        ),
    }

    def get(self, request: Request, key: str) -> Response:
        """Tell what would stop."""
        del request
        self.given()
        return self.told(bulk.of_one(listing.find(key)))

    def post(self, request: Request, key: str) -> Response:
        """Revoke it."""
        del request
        row, given = listing.find(key), self.given()
        ended = bulk.revoke_one(row, self.origin, reason=given["reason"])
        return self.told({"ended": ended})


def chosen(given: dict[str, Any]) -> DelegationFilter:
    """Return the conditions that a shape has read."""
    found = {_NAMES.get(name, name): value for name, value in given.items()}
    return DelegationFilter(
        **found | {name: str(found[name]) for name in ("parent", "root") if name in found}
    )


def as_text(given: dict[str, Any]) -> dict[str, str]:
    """Return the conditions as what they were read from, to be signed."""
    return {name: str(value) for name, value in given.items()}


def _whole(row: Any) -> Any:
    # The shape reads attributes; these are no columns
    row.constraint_list = row.constraints.as_json()
    row.limits = row.constraints.describe()
    row.counted_children = listing.children(row)
    row.answered_by = None if row.consent is None else row.consent.public_id
    return row
