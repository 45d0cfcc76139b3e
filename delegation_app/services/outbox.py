"""Signals to the site: after the commit, or through an outbox table that survives a crash.

Without OUTBOX a signal is sent after the commit, and lost if the process ends in between. With it,
a row of the same transaction stores the signal, and `deliver` sends it: at least once, in any
order, with a stable `message_id`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import connections, transaction
from django.db.models import Min
from django.dispatch import Signal

from delegation_app import clock
from delegation_app.conf import conf
from delegation_app.models import Delegation, OutboxMessage
from delegation_app.protocol.printable import logger_for
from delegation_app.services.transactions import database, durable
from delegation_app.signals import delegation_created, delegation_revoked

logger = logger_for("delegation_app")

# After that it is due again, if its process has died
LEASE: Final = timedelta(minutes=5)
# How long delivered messages are kept for inspection
KEPT: Final = timedelta(days=7)
BATCH: Final = 100

_INSERTED_AT_ONCE: Final = 500
_LONGEST_PAUSE: Final = timedelta(hours=1)
_Kind = OutboxMessage.MessageKind
_SIGNALS: Final[Mapping[str, Signal]] = {
    _Kind.OPENED: delegation_created,
    _Kind.REVOKED: delegation_revoked,
}


def opened(delegation_id: UUID) -> None:
    """Send `delegation_created` after the commit. Call it inside the transaction."""
    if conf.outbox:
        _put(_Kind.OPENED, [{"delegation_id": str(delegation_id)}])
        return
    _after_commit([(delegation_created, {"delegation_id": delegation_id})])


def revoked(ended: Iterable[tuple[UUID, int]], reason: str) -> None:
    """Send `delegation_revoked` after the commit, for each. Call it inside the transaction.

    Args:
        ended: the public ids, with the number of delegations revoked with each.
        reason: as recorded.
    """
    if conf.outbox:
        _put(_Kind.REVOKED, [{"delegation_id": str(key), "count": count} for key, count in ended])
        return
    _after_commit(
        (delegation_revoked, {"delegation_id": key, "reason": reason, "count": count})
        for key, count in ended
    )


def deliver(batch: int = BATCH) -> tuple[int, int]:
    """Send due messages, and delete those delivered a week ago.

    Safe to run concurrently: each process takes its own messages. No transaction is open while
    receivers run. A message whose receiver raises is retried with exponential backoff, up to an
    hour.

    Args:
        batch: the number of messages to take at a time.

    Returns:
        The numbers of delivered and of failed messages.

    Side effects: the signals; rows of the outbox.
    """
    delivered = failed = 0
    while taken := _take(batch):
        reasons = _reasons(taken)
        for message in taken:
            if _send(message, reasons):
                delivered += 1
            else:
                failed += 1
    _forget_delivered()
    return delivered, failed


def waiting_since() -> datetime | None:
    """Return the creation time of the oldest undelivered message, or None."""
    waiting = OutboxMessage.objects.filter(delivered_at=None).order_by()
    oldest: datetime | None = waiting.aggregate(oldest=Min("created_at"))["oldest"]
    return oldest


def _put(kind: OutboxMessage.MessageKind, payloads: list[dict[str, Any]]) -> None:
    now = clock.now()
    rows = [
        OutboxMessage(kind=kind, payload=payload, created_at=now, due_at=now)
        for payload in payloads
    ]
    OutboxMessage.objects.bulk_create(rows, batch_size=_INSERTED_AT_ONCE)


def _after_commit(signals: Iterable[tuple[Signal, Mapping[str, Any]]]) -> None:
    chosen = list(signals)

    def send() -> None:
        for signal, values in chosen:
            signal.send_robust(sender=Delegation, **values)

    transaction.on_commit(send, using=database())


@durable
def _take(batch: int) -> list[OutboxMessage]:
    now = clock.now()
    due = OutboxMessage.objects.filter(delivered_at=None, due_at__lte=now).order_by("due_at", "id")
    if connections[database()].features.has_select_for_update_skip_locked:
        due = due.select_for_update(skip_locked=True)
    taken = list(due[:batch])
    for message in taken:
        message.attempts += 1
        message.due_at = now + LEASE
    OutboxMessage.objects.bulk_update(taken, ["attempts", "due_at"])
    return taken


def _reasons(messages: Iterable[OutboxMessage]) -> dict[str, str]:
    # Free text may be personal: it stays in the record, and is not copied
    ids = [
        message.payload["delegation_id"] for message in messages if message.kind == _Kind.REVOKED
    ]
    rows = Delegation.objects.filter(public_id__in=ids).order_by()
    return {str(key): reason for key, reason in rows.values_list("public_id", "revocation_reason")}


def _send(message: OutboxMessage, reasons: Mapping[str, str]) -> bool:
    key = message.payload["delegation_id"]
    values: dict[str, Any] = {**message.payload, "delegation_id": UUID(key)}
    if message.kind == _Kind.REVOKED:
        values["reason"] = reasons.get(key, "")
    sent = _heard(_SIGNALS[message.kind], {"message_id": message.public_id, **values})
    row, now = OutboxMessage.objects.filter(pk=message.pk, delivered_at=None), clock.now()
    if sent:
        row.update(delivered_at=now)
    else:
        row.update(due_at=now + _pause(message.attempts))
    return sent


def _heard(signal: Signal, values: Mapping[str, Any]) -> bool:
    try:
        answers = signal.send_robust(sender=Delegation, **values)
    # Django logs what a receiver raises, but fails for one that is an object without a name
    except Exception:
        logger.exception("a receiver of message %s failed", values["message_id"])
        return False
    return not any(isinstance(answer, Exception) for _, answer in answers)


def _pause(attempts: int) -> timedelta:
    return min(timedelta(seconds=2 ** min(attempts, 12)), _LONGEST_PAUSE)


def _forget_delivered() -> None:
    OutboxMessage.objects.filter(delivered_at__lt=clock.now() - KEPT).delete()
