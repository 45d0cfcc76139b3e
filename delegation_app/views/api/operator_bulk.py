"""The API for operators to revoke all delegations of a filter, in batches, after a dry run."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from rest_framework.request import Request
from rest_framework.response import Response

from delegation_app import clock
from delegation_app.protocol.errors import InvalidRequest
from delegation_app.services.delegations import bulk
from delegation_app.services.signed_text import sign, verify
from delegation_app.views.api import operator_serializers as shapes
from delegation_app.views.api.endpoint import Operation, OperatorEndpoint
from delegation_app.views.api.errors import PreviewNeeded
from delegation_app.views.api.operator import chosen

CONFIRM_WITHIN: Final = 3600


class RevokeDelegationsView(OperatorEndpoint):
    """Revoke all delegations of a filter.

    A dry run returns a preview, and a `confirm` for this operator, this filter and the existing
    delegations. Each call with it revokes a bounded number and returns how many remain, so an
    interrupted script continues with the same request.
    """

    needs = "revoke"
    operations: ClassVar = {
        "POST": Operation(
            "revokeDelegations",
            "Revoke all delegations of a filter, in batches. This cannot be undone.",
            answer=shapes.DelegationsRevoked,
            body=shapes.RevokeDelegations,
            also=(409,),
        )
    }

    def post(self, request: Request) -> Response:
        del request
        given = self.given()
        if not given["filter"]:
            raise InvalidRequest("The filter needs at least one condition.")
        return self.told(self._dry_run(given) if given["dry_run"] else self._revoke(given))

    def _dry_run(self, given: dict[str, Any]) -> dict[str, Any]:
        task = bulk.begin(chosen(given["filter"]), skips_expired=True)
        found = bulk.outlook(task, size=given["limit"], is_full=True)
        now, newest = int(clock.now().timestamp()), bulk.newest_key(task)
        return {
            "dry_run": True,
            "ended": 0,
            "remaining": found.matching,
            "next": found.next,
            "confirm": sign(f"{now}.{newest}", *self._bound_to(given)),
        }

    def _revoke(self, given: dict[str, Any]) -> dict[str, Any]:
        if not given.get("reason"):
            raise InvalidRequest("reason is missing.")
        confirm = given.get("confirm", "")
        at, _, newest = (verify(confirm, *self._bound_to(given)) or "0.0").partition(".")
        if clock.now().timestamp() - int(at) > CONFIRM_WITHIN:
            raise PreviewNeeded("Make a dry run first, and send the `confirm` of its answer.")
        task = bulk.begin(chosen(given["filter"]), skips_expired=True, last_key=int(newest))
        reason, size = given["reason"], given["limit"]
        task = bulk.revoke_some(task, self.origin, reason=reason, size=size)
        return {
            "dry_run": False,
            "ended": task.ended,
            "remaining": bulk.remaining(task, is_full=True),
            "next": None,
            "confirm": confirm,
        }

    def _bound_to(self, given: dict[str, Any]) -> tuple[Any, ...]:
        return ("revoke", self.person.subject, given["filter"])
