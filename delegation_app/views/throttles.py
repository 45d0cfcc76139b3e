"""Throttles that a site can set on an endpoint; none is set by default."""

from __future__ import annotations

from typing import Any, ClassVar

from rest_framework.throttling import BaseThrottle

from delegation_app.protocol.errors import TooManyAttempts
from delegation_app.services.clients import throttle
from delegation_app.services.clients.throttle import Budget


class AddressThrottle(BaseThrottle):
    """Limits the requests per minute of one address, for each endpoint class.

    The count is in the cache of `DELEGATION["CACHE"]`. If the cache is down, no request is refused.

    Attributes:
        requests_per_minute: the limit.
    """

    requests_per_minute: ClassVar[int] = 600
    _wait: int | None = None

    def budgets(self, view: Any) -> list[Budget]:
        """Return the budgets that a request counts towards."""
        context = view.context
        return throttle.of_addresses(context.ip, context.via, self.requests_per_minute)

    def allow_request(self, request: Any, view: Any) -> bool:
        name = f"{type(self).__qualname__} {type(view).__qualname__}"
        budgets = [Budget(f"{name} {budget.caller}", budget.most) for budget in self.budgets(view)]
        try:
            with throttle.attempt(*budgets, refusal="") as attempt:
                # The budget is spent: no later success returns it
                attempt.failed = True
        except TooManyAttempts as error:
            self._wait = error.retry_after
        return self._wait is None

    def wait(self) -> float | None:
        return self._wait


class ClientThrottle(AddressThrottle):
    """Limits the requests per minute of one authenticated client, for each endpoint class."""

    def budgets(self, view: Any) -> list[Budget]:
        return [Budget(view.context.actor, self.requests_per_minute)]
