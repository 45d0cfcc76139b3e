"""Signals that survive a kill: promised in the transaction, sent at least once."""

import threading
from contextlib import contextmanager
from datetime import timedelta
from io import StringIO
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, connections, transaction
from django.test.utils import CaptureQueriesContext

from delegation_app.models import Delegation, OutboxMessage
from delegation_app.services import audit, outbox
from delegation_app.services.delegations import revocation
from delegation_app.signals import delegation_created, delegation_revoked
from tests.support.chains import Chain
from tests.support.world import delegation_of

OPERATOR = audit.RequestContext("user:99")


@pytest.fixture
def outbox_on(settings):
    settings.DELEGATION = {**settings.DELEGATION, "OUTBOX": True}


class Ear:
    """A receiver that notes what it hears, and fails as often as it is told to."""

    def __init__(self, failures=0, name="Ear"):
        self.heard, self.failures = [], failures
        if name:
            self.__qualname__ = name

    def __call__(self, signal, **values):
        if self.failures:
            self.failures -= 1
            raise RuntimeError("the mail server is away")
        name = "opened" if signal is delegation_created else "revoked"
        self.heard.append((name, {k: v for k, v in values.items() if k != "sender"}))


@contextmanager
def listening(ear):
    for signal in (delegation_created, delegation_revoked):
        signal.connect(ear)
    try:
        yield ear
    finally:
        for signal in (delegation_created, delegation_revoked):
            signal.disconnect(ear)


@pytest.fixture
def ear():
    with listening(Ear()) as ear:
        yield ear


def end(row, reason="a sentence that somebody wrote"):
    return revocation.subtree(row, OPERATOR, reason=reason)


# Off


@pytest.mark.django_db(transaction=True)
def test_outbox_when_it_is_off_then_signals_come_after_the_commit_and_no_table_is_touched(
    story, ear
):
    with CaptureQueriesContext(connection) as captured:
        row = delegation_of(story.tokens())
        end(row, "over")
    assert ear.heard == [
        ("opened", {"delegation_id": row.public_id}),
        ("revoked", {"delegation_id": row.public_id, "reason": "over", "count": 1}),
    ]
    assert not any("outbox" in query["sql"] for query in captured)
    assert outbox.deliver() == (0, 0)


# On


@pytest.mark.django_db(transaction=True)
def test_outbox_when_it_is_on_then_each_signal_waits_for_the_command_and_comes_once(
    story, ear, outbox_on
):
    row = delegation_of(story.tokens())
    end(row, "over")
    assert ear.heard == []

    assert outbox.deliver() == (2, 0)

    (opened, one), (revoked, two) = ear.heard
    ids = {one.pop("message_id"), two.pop("message_id")}
    assert (opened, one) == ("opened", {"delegation_id": row.public_id})
    assert (revoked, two) == (
        "revoked",
        {"delegation_id": row.public_id, "reason": "over", "count": 1},
    )
    assert ids == set(OutboxMessage.objects.values_list("public_id", flat=True))
    assert all(isinstance(key, UUID) for key in ids)
    assert outbox.deliver() == (0, 0)
    assert len(ear.heard) == 2


@pytest.mark.django_db(transaction=True)
def test_outbox_when_the_transaction_is_undone_then_nothing_was_promised(story, outbox_on):
    row = delegation_of(story.tokens())
    before = OutboxMessage.objects.count()
    with transaction.atomic():
        end(row)
        transaction.set_rollback(True)
    assert OutboxMessage.objects.count() == before


def test_outbox_when_something_ends_with_what_is_below_it_then_one_message_tells_how_many(
    story, outbox_on
):
    chain = Chain(story)
    assert OutboxMessage.objects.filter(kind="delegation.created").count() == 3
    end(chain.rows[0])
    message = OutboxMessage.objects.get(kind="delegation.revoked")
    assert message.payload == {"delegation_id": str(chain.rows[0].public_id), "count": 3}


def test_outbox_when_many_are_ended_at_once_then_each_has_a_message_in_one_statement(
    story, outbox_on
):
    rows = [delegation_of(story.tokens(prompt="consent")) for _ in range(5)]
    with CaptureQueriesContext(connection) as captured:
        revocation.of_user(story.world.alice, OPERATOR, reason="left")
    assert OutboxMessage.objects.filter(kind="delegation.revoked").count() == len(rows)
    inserts = [query for query in captured if 'INSERT INTO "delegation_app_outbox' in query["sql"]]
    assert len(inserts) == 1


def test_outbox_when_it_promises_then_it_holds_ids_and_numbers_only(story, outbox_on):
    end(delegation_of(story.tokens()), "alice wrote that she is ill")
    for message in OutboxMessage.objects.all():
        assert message.payload.keys() <= {"delegation_id", "count"}
        assert "ill" not in str(message.payload)


# Receivers that fail, and deliverers that die


@pytest.mark.parametrize("name", ["Ear", None])
def test_outbox_when_a_receiver_fails_then_the_message_comes_again_later_with_the_same_id(
    story, outbox_on, clock, caplog, name
):
    end(delegation_of(story.tokens()))
    OutboxMessage.objects.filter(kind="delegation.created").delete()
    with listening(Ear(2, name)) as ear:
        assert outbox.deliver() == (0, 1)
        assert outbox.deliver() == (0, 0)
        clock.forward(seconds=2)
        assert outbox.deliver() == (0, 1)
        clock.forward(seconds=3)
        assert outbox.deliver() == (0, 0)
        clock.forward(seconds=1)
        assert outbox.deliver() == (1, 0)
    message = OutboxMessage.objects.get()
    assert message.attempts == 3
    assert [values["message_id"] for _, values in ear.heard] == [message.public_id]
    assert "the mail server is away" in caplog.text


def test_outbox_when_one_message_fails_then_the_others_are_delivered(story, outbox_on):
    for _ in range(3):
        story.tokens(prompt="consent")
    with listening(Ear(failures=1)) as ear:
        assert outbox.deliver(batch=1) == (2, 1)
    assert len(ear.heard) == 2


def test_outbox_when_a_message_fails_for_days_then_it_is_tried_every_hour(story, outbox_on, clock):
    story.tokens()
    OutboxMessage.objects.update(attempts=60)
    with listening(Ear(failures=1)):
        outbox.deliver()
    assert OutboxMessage.objects.get().due_at - clock.time == timedelta(hours=1)


def test_outbox_when_the_deliverer_is_killed_then_another_one_sends_again(story, outbox_on, clock):
    story.tokens()
    killed = outbox._take(10)
    with listening(Ear()) as ear:
        assert outbox.deliver() == (0, 0)
        clock.forward(minutes=5)
        assert outbox.deliver() == (1, 0)
    assert [values["message_id"] for _, values in ear.heard] == [killed[0].public_id]


@pytest.mark.django_db(transaction=True)
def test_outbox_when_a_receiver_uses_the_services_then_it_is_in_no_transaction(story, outbox_on):
    ended = []

    def receiver(delegation_id, **_values):
        assert not connection.in_atomic_block
        story.client_credentials()
        ended.append(delegation_id)

    story.tokens()
    delegation_created.connect(receiver)
    try:
        outbox.deliver(batch=1)
    finally:
        delegation_created.disconnect(receiver)
    assert len(ended) == 2


@pytest.mark.many_connections
@pytest.mark.django_db(transaction=True)
def test_outbox_when_several_deliver_side_by_side_then_each_message_comes_once(story, outbox_on):
    for _ in range(20):
        story.tokens(prompt="consent")
    barrier, done = threading.Barrier(4), []

    def run():
        try:
            barrier.wait()
            done.append(outbox.deliver(batch=3))
        finally:
            connections.close_all()

    with listening(Ear()) as ear:
        threads = [threading.Thread(target=run) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sum(delivered for delivered, _ in done) == 20
    ids = [values["message_id"] for _, values in ear.heard]
    assert len(ids) == len(set(ids)) == 20


def test_outbox_when_messages_were_delivered_a_week_ago_then_they_are_forgotten(
    story, outbox_on, clock
):
    story.tokens()
    outbox.deliver()
    clock.forward(days=7)
    outbox.deliver()
    assert OutboxMessage.objects.count() == 1
    clock.forward(seconds=1)
    outbox.deliver()
    assert OutboxMessage.objects.count() == 0
    assert Delegation.objects.count() == 1


# The command


def run(*arguments):
    out = StringIO()
    call_command("delegation_outbox", *arguments, stdout=out)
    return out.getvalue()


def test_command_when_run_then_it_says_how_many(story, outbox_on):
    story.tokens()
    with listening(Ear(failures=1)):
        assert run() == "0 delivered, 1 to be tried again.\n"
    OutboxMessage.objects.update(due_at=OutboxMessage.objects.get().created_at)
    assert run("--batch", "1") == "1 delivered, 0 to be tried again.\n"


def test_command_when_the_batch_is_none_then_it_fails(db):
    with pytest.raises(CommandError, match="at least 1"):
        run("--batch", "0")
