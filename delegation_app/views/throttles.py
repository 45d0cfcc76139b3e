"""Throttles that a site may set on an endpoint; none is set by default."""

from __future__ import annotations

from typing import Any, ClassVar

from rest_framework.throttling import BaseThrottle

from delegation_app.protocol.errors import TooManyAttempts
from delegation_app.services.clients import throttle
from delegation_app.services.clients.throttle import Budget


class AddressThrottle(BaseThrottle):
    """At most so many requests of one address in a minute, for each endpoint class.

    They are counted in the cache of `DELEGATION["CACHE"]`; where that is down, none is refused.

    Attributes:
        requests_per_minute: the number; a subclass sets another one.
    """

    requests_per_minute: ClassVar[int] = 600
    _wait: int | None = None

    def budgets(self, view: Any) -> list[Budget]:
        """Return what a request counts in."""
        context = view.context
        return throttle.of_addresses(context.ip, context.via, self.requests_per_minute)

    def allow_request(self, request: Any, view: Any) -> bool:
        name = f"{type(self).__qualname__} {type(view).__qualname__}"
        budgets = [Budget(f"{name} {budget.caller}", budget.most) for budget in self.budgets(view)]
        try:
            with throttle.attempt(*budgets, refusal="") as attempt:
                # So it is not given back
                attempt.failed = True
        except TooManyAttempts as error:
            self._wait = error.retry_after
        return self._wait is None

    def wait(self) -> float | None:
        return self._wait


class ClientThrottle(AddressThrottle):
    """At most so many requests of one authenticated client in a minute, for each endpoint class."""

    def budgets(self, view: Any) -> list[Budget]:
        return [Budget(view.context.actor, self.requests_per_minute)]
