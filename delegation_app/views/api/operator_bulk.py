"""Operators end all that a filter finds, some at a time, after a look at what that is."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from rest_framework.request import Request
from rest_framework.response import Response

from delegation_app import clock
from delegation_app.protocol.errors import InvalidRequest
from delegation_app.services.delegations import bulk
from delegation_app.views.api import operator_serializers as shapes
from delegation_app.views.api.endpoint import Operation, OperatorEndpoint
from delegation_app.views.api.errors import PreviewNeeded
from delegation_app.views.api.operator import as_text, chosen
from delegation_app.views.api.signing import sign, verify

CONFIRM_WITHIN: Final = 3600


class RevokeDelegationsView(OperatorEndpoint):
    """End all that a filter finds.

    A dry run answers what would end, and a `confirm` for this operator, this filter and what there
    is now. Each call with it ends a bounded number and says what is left, so a script that was
    interrupted asks again with the same.
    """

    needs = "revoke"
    operations: ClassVar = {
        "POST": Operation(
            "revokeDelegations",
            "Revoke all that a filter finds, some at a time. It can't be undone.",
            answer=shapes.DelegationsRevoked,
            body=shapes.RevokeDelegations,
            also=(409,),
        )
    }

    def post(self, request: Request) -> Response:
        """Tell what would end, or end some of it."""
        del request
        given = self.given()
        if not given["filter"]:
            raise InvalidRequest("The filter needs at least one condition.")
        return self.told(self._tried(given) if given["dry_run"] else self._done(given))

    def _tried(self, given: dict[str, Any]) -> dict[str, Any]:
        found = bulk.outlook(chosen(given["filter"]), given["limit"])
        now = int(clock.now().timestamp())
        return {
            "dry_run": True,
            "ended": 0,
            "remaining": found.matching,
            "next": found.next,
            "confirm": sign(f"{now}.{found.newest}", *self._bound_to(given)),
        }

    def _done(self, given: dict[str, Any]) -> dict[str, Any]:
        if not given.get("reason"):
            raise InvalidRequest("reason is missing.")
        confirm = given.get("confirm", "")
        at, _, newest = (verify(confirm, *self._bound_to(given)) or "0.0").partition(".")
        if clock.now().timestamp() - int(at) > CONFIRM_WITHIN:
            raise PreviewNeeded("Make a dry run first, and send the `confirm` of its answer.")
        batch = bulk.end_some(
            chosen(given["filter"]),
            int(newest),
            self.origin,
            reason=given["reason"],
            size=given["limit"],
        )
        return {
            "dry_run": False,
            "ended": batch.ended,
            "remaining": batch.remaining,
            "next": None,
            "confirm": confirm,
        }

    def _bound_to(self, given: dict[str, Any]) -> tuple[Any, ...]:
        return ("revoke", self.person.subject, as_text(given["filter"]))
