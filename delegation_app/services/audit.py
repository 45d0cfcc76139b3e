"""Writing the audit trail: an insert in the transaction of the recorded change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, TypedDict, Unpack

from delegation_app import clock
from delegation_app.events import REQUEST_REFUSED, Event
from delegation_app.models import AuditEvent, ConsentRecord, Delegation
from delegation_app.protocol.errors import InvalidClient, OAuthError
from delegation_app.protocol.printable import printable as printable  # noqa: PLC0414 - used as audit.printable
from delegation_app.protocol.secrets import masked, masked_name
from delegation_app.services import event_counts
from delegation_app.services.event_counts import Group
from delegation_app.services.transactions import witness
from delegation_app.toolkit import application_model

_BATCH: Final = 500


@dataclass(frozen=True, slots=True)
class RequestContext:
    """The actor and origin of a change.

    Attributes:
        actor: the acting subject: `user:<id>`, `client:<client_id>` or `system`.
        ip: the caller's address; None if it is unknown.
        via: for an unknown address, the peer and its headers; see `Sender.via`.
        user_agent: as sent.
        request_id: as in the log.
    """

    actor: str = "system"
    ip: str | None = None
    via: tuple[str, ...] = ()
    user_agent: str = ""
    request_id: str = ""

    def acting_as(self, subject: str) -> RequestContext:
        """Return a copy with another actor."""
        return replace(self, actor=subject)


class About(TypedDict, total=False):
    """The parameters of an event, all optional.

    `details` holds JSON types and never a secret.
    """

    delegation: Delegation | None
    consent: ConsentRecord | None
    subject: str
    client_id: str
    jti: str
    reason: str
    details: Mapping[str, Any] | None
    outcome: AuditEvent.Outcome


def record(event: Event, origin: RequestContext, **about: Unpack[About]) -> None:
    """Insert one event, with the subject of its delegation or consent.

    Args:
        event: one of `delegation_app.events`.
        origin: the actor and origin.
        about: see `About`.
    """
    row = _row(event, origin, **about)
    row.save(force_insert=True)
    witness(row)


def record_each(
    event: Event,
    origin: RequestContext,
    about: Iterable[tuple[Delegation, Mapping[str, Any]]],
    *,
    reason: str,
) -> None:
    """Insert an event for each of many delegations, with its own details; see `record`."""
    rows = (
        _row(event, origin, delegation=delegation, reason=reason, details=details)
        for delegation, details in about
    )
    # The first one proves that all are stored
    for first in AuditEvent.objects.bulk_create(rows, batch_size=_BATCH)[:1]:
        witness(first)


def record_often(event: Event, origin: RequestContext, **about: Unpack[About]) -> None:
    """Insert an event that unauthenticated callers can cause, or count it if there are many.

    See `event_counts` for the limits; the parameters are those of `record`.
    """
    row = _row(event, origin, **about)
    event_counts.record(row, Group(client_id=row.client_id_value))
    if row.pk is not None:
        # A counted event does not prove its transaction
        witness(row)


def record_refusal(
    error: OAuthError,
    origin: RequestContext,
    *,
    client_id: str,
    endpoint: str,
    grant_type: str = "",
) -> None:
    """Insert the event of a refused request, unless the service has done so.

    Many equal refusals are counted; see `event_counts`.
    """
    if error.recorded:
        return
    detail = masked(error.detail or error.description)
    details = {"endpoint": endpoint, "detail": printable(detail, 255)}
    if grant_type:
        details["grant_type"] = printable(masked(grant_type), 100)
    # An unauthenticated client may claim any id, a different one each time
    is_known = not isinstance(error, InvalidClient)
    row = _row(
        REQUEST_REFUSED,
        origin,
        delegation=error.about if isinstance(error.about, Delegation) else None,
        client_id=client_id if is_known else _claimed(client_id),
        reason=error.code,
        details=details,
        outcome=AuditEvent.Outcome.REFUSED,
    )
    event_counts.record(row, Group(endpoint, printable(client_id if is_known else "", 255)))
    event_counts.write_expected()


def _claimed(client_id: str) -> str:
    # A client that confuses id and secret sends the secret as its id. One statement, and only if
    # the id could be a secret.
    name = masked_name(client_id)
    if name == client_id or application_model().objects.filter(client_id=client_id).exists():
        return client_id
    return name


def _row(event: Event, origin: RequestContext, **about: Unpack[About]) -> AuditEvent:
    delegation, consent = about.get("delegation"), about.get("consent")
    details = dict(about.get("details") or {})
    if origin.via:
        # With a forged header, the peer is still recorded
        details["via"] = printable(masked(origin.via[-1]), 200)
    subject, client_id = about.get("subject", ""), about.get("client_id", "")
    if delegation is not None:
        subject, client_id = delegation.subject, client_id or delegation.delegate_client_id
    elif consent is not None:
        subject, client_id = consent.subject, consent.client_id_value
    return AuditEvent(
        event=event.name,
        outcome=about.get("outcome", AuditEvent.Outcome.DONE),
        occurred_at=clock.now(),
        actor=printable(origin.actor, 300),
        subject=printable(subject, 300),
        client_id_value=printable(client_id, 255),
        delegation=delegation,
        consent=consent,
        jti=about.get("jti", ""),
        reason=printable(about.get("reason", ""), 255),
        ip_address=origin.ip,
        request_id=origin.request_id,
        details=details,
    )
