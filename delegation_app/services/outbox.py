"""Telling the site what happened: signals after the commit, or from a table that survives a kill.

Without OUTBOX a signal is sent when its transaction has committed, and lost if the process ends in
between. With it, a row of the same transaction promises the signal, and `deliver` sends it: at
least once, in no order, with a `message_id` that stays the same.
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

# After that it is due again, if whoever took it never came back
LEASE: Final = timedelta(minutes=5)
# Delivered ones are kept so long, for those who ask whether something was sent
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
    """Have `delegation_created` sent after the commit. Call it inside the transaction."""
    if conf.outbox:
        _put(_Kind.OPENED, [{"delegation_id": str(delegation_id)}])
        return
    _after_commit([(delegation_created, {"delegation_id": delegation_id})])


def revoked(ended: Iterable[tuple[UUID, int]], reason: str) -> None:
    """Have `delegation_revoked` sent after the commit, for each. Call it inside the transaction.

    Args:
        ended: the public ids, and how many delegations ended with each.
        reason: the sentence for the record.
    """
    if conf.outbox:
        _put(_Kind.REVOKED, [{"delegation_id": str(key), "count": count} for key, count in ended])
        return
    _after_commit(
        (delegation_revoked, {"delegation_id": key, "reason": reason, "count": count})
        for key, count in ended
    )


def deliver(batch: int = BATCH) -> tuple[int, int]:
    """Send what is due, and forget what was delivered a week ago.

    Safe beside others that do the same: each takes messages of its own. It holds no transaction
    while receivers work. A message with a receiver that raises is due again later, the next time
    after twice as long, up to an hour.

    Args:
        batch: how many messages to take at a time.

    Returns:
        How many were delivered, and how many could not be.

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
    """Return when the oldest message that is not delivered was created, or None."""
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
    # A sentence that somebody wrote: it stays in the record, and is not copied
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
    # Django logs what a receiver raises, and stumbles over one that is an object without a name
    except Exception:
        logger.exception("a receiver of message %s failed", values["message_id"])
        return False
    return not any(isinstance(answer, Exception) for _, answer in answers)


def _pause(attempts: int) -> timedelta:
    return min(timedelta(seconds=2 ** min(attempts, 12)), _LONGEST_PAUSE)


def _forget_delivered() -> None:
    OutboxMessage.objects.filter(delivered_at__lt=clock.now() - KEPT).delete()
