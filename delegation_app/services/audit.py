"""Writing the audit trail: a plain insert in the transaction of the change that it tells of."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from delegation_app.events import REQUEST_REFUSED, Event
from delegation_app.models import AuditEvent, ConsentRecord, Delegation
from delegation_app.protocol.errors import OAuthError

logger = logging.getLogger("delegation_app.audit")

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a change comes from.

    Attributes:
        actor: the subject that acts: `user:<id>`, `client:<client_id>` or `system`.
        ip: the peer's address; forwarded headers are not believed.
        user_agent: as sent.
        request_id: the id under which the log knows the request.
    """

    actor: str = "system"
    ip: str | None = None
    user_agent: str = ""
    request_id: str = ""

    def acting_as(self, subject: str) -> Origin:
        """Return the same origin with another actor."""
        return replace(self, actor=subject)


def record(  # noqa: PLR0913 - a row of named columns, each optional
    event: Event,
    origin: Origin,
    *,
    delegation: Delegation | None = None,
    consent: ConsentRecord | None = None,
    subject: str = "",
    client_id: str = "",
    jti: str = "",
    reason: str = "",
    details: Mapping[str, Any] | None = None,
    outcome: AuditEvent.Outcome = AuditEvent.Outcome.DONE,
) -> None:
    """Insert one event. Whose authority it is about is taken from its delegation or consent.

    Args:
        event: one of `delegation_app.events`.
        origin: who acted, and from where.
        delegation, consent, subject, client_id, jti: what it is about.
        reason, details: more about it, details of JSON types; never a secret.
        outcome: done or refused.
    """
    if delegation is not None:
        subject, client_id = delegation.subject, client_id or delegation.delegate_client_id
    elif consent is not None:
        subject, client_id = consent.subject, consent.client_id_value
    AuditEvent.objects.create(
        event=event.name,
        outcome=outcome,
        actor=printable(origin.actor, 300),
        subject=printable(subject, 300),
        client_id_value=printable(client_id, 255),
        delegation=delegation,
        consent=consent,
        jti=jti,
        reason=printable(reason, 255),
        ip_address=origin.ip,
        request_id=origin.request_id,
        details=dict(details or {}),
    )


def record_refusal(error: OAuthError, origin: Origin, *, client_id: str, endpoint: str) -> None:
    """Insert the event of a refused request, unless the service that refused did so already."""
    if error.recorded:
        return
    record(
        REQUEST_REFUSED,
        origin,
        delegation=error.about if isinstance(error.about, Delegation) else None,
        client_id=client_id,
        reason=error.code,
        details={"endpoint": endpoint, "detail": printable(error.detail or error.description, 255)},
        outcome=AuditEvent.Outcome.REFUSED,
    )


def printable(text: str, length: int) -> str:
    """Return `text` on one line, without control characters, at most `length` long."""
    return _CONTROL.sub("�", text)[:length]
