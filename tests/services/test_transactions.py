from contextlib import suppress

import pytest
from django.db import OperationalError, connection, transaction

from delegation_app.events import CONSENT_DENIED
from delegation_app.models import AuditEvent, ResourceServer
from delegation_app.protocol.errors import InvalidGrant, OutcomeUnknown
from delegation_app.services import audit, transactions
from tests.support.broken_database import failing_commit

pytestmark = pytest.mark.compat


class DeadlockDetected(Exception):
    sqlstate = "40P01"


class DiskFull(Exception):
    sqlstate = "53100"


def database_error(cause):
    error = OperationalError("the database said no")
    error.__cause__ = cause
    return error


def test_own_when_error_is_returned_then_its_consequences_are_kept(transactional_db):
    @transactions.durable
    def work():
        ResourceServer.objects.create(identifier="urn:kept", name="kept")
        return InvalidGrant("no")

    with pytest.raises(InvalidGrant):
        work()
    assert ResourceServer.objects.filter(identifier="urn:kept").exists()


def test_own_when_error_is_raised_then_nothing_is_kept(transactional_db):
    @transactions.durable
    def work():
        ResourceServer.objects.create(identifier="urn:lost", name="lost")
        raise InvalidGrant("no")

    with pytest.raises(InvalidGrant):
        work()
    assert not ResourceServer.objects.filter(identifier="urn:lost").exists()


@pytest.mark.parametrize(("failures", "succeeds"), [(1, True), (2, True), (3, False)])
def test_own_when_the_database_gives_up_then_tried_three_times(
    transactional_db, failures, succeeds
):
    attempts = []

    @transactions.durable
    def work():
        attempts.append(1)
        if len(attempts) <= failures:
            raise database_error(DeadlockDetected())
        return "done"

    if succeeds:
        assert work() == "done"
        assert len(attempts) == failures + 1
    else:
        with pytest.raises(OperationalError):
            work()
        assert len(attempts) == 3


def test_own_when_the_database_fails_for_good_then_tried_once(transactional_db):
    attempts = []

    @transactions.durable
    def work():
        attempts.append(1)
        raise database_error(DiskFull())

    with pytest.raises(OperationalError):
        work()
    assert len(attempts) == 1


# A commit without an answer


def witnessed(identifier="urn:kept"):
    ResourceServer.objects.create(identifier=identifier, name=identifier)
    audit.record(CONSENT_DENIED, audit.RequestContext())


def test_own_when_the_answer_to_the_commit_is_lost_then_the_result_is_returned(transactional_db):
    runs = []

    @transactions.durable
    def work():
        runs.append(1)
        witnessed()
        transaction.on_commit(lambda: runs.append("told"))
        return "done"

    with failing_commit(after=True):
        assert work() == "done"
    assert runs == [1, "told"]
    assert ResourceServer.objects.filter(identifier="urn:kept").count() == 1
    assert AuditEvent.objects.count() == 1


def test_own_when_the_answer_to_a_refusal_is_lost_then_it_is_raised_and_kept(transactional_db):
    @transactions.durable
    def work():
        witnessed()
        return InvalidGrant("no")

    with failing_commit(after=True), pytest.raises(InvalidGrant):
        work()
    assert ResourceServer.objects.filter(identifier="urn:kept").exists()


def test_own_when_the_commit_did_not_take_place_then_the_work_runs_again(transactional_db):
    runs = []

    @transactions.durable
    def work():
        runs.append(1)
        witnessed()
        return "done"

    with failing_commit(times=1):
        assert work() == "done"
    assert len(runs) == 2
    assert AuditEvent.objects.count() == ResourceServer.objects.count() == 1


def test_own_when_no_commit_takes_place_then_tried_three_times_and_nothing_is_done(
    transactional_db,
):
    runs = []

    @transactions.durable
    def work():
        runs.append(1)
        witnessed()

    with failing_commit(), pytest.raises(OperationalError):
        work()
    assert len(runs) == 3
    assert not AuditEvent.objects.exists()


def test_own_when_nothing_was_recorded_then_the_work_runs_again(transactional_db):
    runs = []

    @transactions.durable
    def work():
        runs.append(1)
        return InvalidGrant("unknown")

    with failing_commit(after=True), pytest.raises(OperationalError):
        work()
    assert len(runs) == 3


@pytest.mark.parametrize(
    ("decorator", "advice"),
    [
        (transactions.durable, "Repeating the request is safe."),
        (transactions.durable_once, "Look whether it was done before you repeat it."),
    ],
)
def test_own_when_the_database_does_not_say_then_the_error_does(
    transactional_db, monkeypatch, decorator, advice
):
    monkeypatch.setattr(transactions, "PAUSES", (0.0, 0.01))

    def work():
        witnessed()
        return "done"

    def no_answer(_event):
        raise OperationalError("the connection is refused")

    monkeypatch.setattr(transactions, "_is_committed", no_answer)
    with failing_commit(after=True), pytest.raises(OutcomeUnknown) as error:
        decorator(work)()
    assert error.value.description == f"The outcome of this request is unknown. {advice}"
    assert error.value.attempted == "done"
    assert error.value.may_be_done
    assert error.value.recorded
    assert error.value.retry_after


def test_own_when_a_part_was_undone_then_its_event_proves_nothing(transactional_db):
    runs = []

    @transactions.durable
    def work():
        runs.append(1)
        with suppress(ZeroDivisionError), transactions.nested():
            witnessed("urn:undone")
            raise ZeroDivisionError
        witnessed()
        with suppress(ZeroDivisionError), transactions.nested():
            witnessed("urn:undone, too")
            raise ZeroDivisionError
        return "done"

    with failing_commit(after=True):
        assert work() == "done"
    assert len(runs) == 1
    assert AuditEvent.objects.count() == 1


def test_own_when_the_key_of_its_event_is_anothers_by_now_then_the_work_runs_again(
    transactional_db, monkeypatch
):
    runs, is_committed = [], transactions._is_committed

    @transactions.durable
    def work():
        runs.append(1)
        witnessed()
        return "done"

    def taken(event):
        # As after a failover that has lost the end of the sequence as well
        AuditEvent(pk=event.pk, event="client.changed", outcome="done").save(force_insert=True)
        return is_committed(event)

    monkeypatch.setattr(transactions, "_is_committed", taken)
    with failing_commit(times=1):
        assert work() == "done"
    assert len(runs) == 2
    assert AuditEvent.objects.filter(event="consent.denied").count() == 1


def test_own_when_inside_another_transaction_then_refused(transactional_db):
    work = transactions.durable(lambda: "done")

    with transaction.atomic(), pytest.raises(RuntimeError):
        work()


def test_joined_when_the_outer_transaction_fails_then_undone_with_it(transactional_db):
    def outer():
        with transaction.atomic():
            with transactions.nested():
                ResourceServer.objects.create(identifier="urn:undone", name="undone")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        outer()
    assert not ResourceServer.objects.exists()


@pytest.mark.postgresql
def test_hold_when_taken_then_an_advisory_lock_stands_until_the_commit(transactional_db):
    def locks():
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")
            return cursor.fetchone()[0]

    before = locks()
    with transaction.atomic():
        transactions.advisory_lock("a name")
        assert locks() == before + 1
    assert locks() == before
