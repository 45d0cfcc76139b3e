"""Events of the audit trail."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from factory.declarations import LazyFunction, SubFactory

from delegation_app.events import TOKEN_ISSUED, Event
from delegation_app.models import AuditEvent
from delegation_app.services import audit
from delegation_app.services.transactions import nested
from delegation_app.testing.factories.base import WrittenFactory
from delegation_app.testing.factories.delegations import DelegationFactory


class AuditEventFactory(WrittenFactory):
    """An event from the audit service. Events cannot be changed or deleted.

    Parameters:
        event: a member of `delegation_app.events`.
        delegation: its delegation, or None.
        actor: the acting subject.
        ip: the address of the caller; None if it is unknown.
        request_id: the id of the request; a new one by default.
        any other: `consent`, `subject`, `client_id`, `jti`, `reason`, `details` and `outcome`.

    Side effects: one row, beside those of the delegation.
    """

    class Meta:
        model = AuditEvent

    event = TOKEN_ISSUED
    delegation = SubFactory(DelegationFactory)
    actor = "system"
    ip = "127.0.0.1"
    request_id = LazyFunction(lambda: uuid4().hex)

    @classmethod
    def _make(
        cls, *, event: Event, actor: str, ip: str | None, request_id: str, **about: Any
    ) -> AuditEvent:
        origin = audit.RequestContext(actor=actor, ip=ip, request_id=request_id)
        with nested():
            audit.record(event, origin, **about)
            return AuditEvent.objects.filter(request_id=request_id).latest("pk")
