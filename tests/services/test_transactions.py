import pytest
from django.db import OperationalError, connection, transaction

from delegation_app.models import ResourceServer
from delegation_app.protocol.errors import InvalidGrant
from delegation_app.services import transactions


class DeadlockDetected(Exception):
    sqlstate = "40P01"


class DiskFull(Exception):
    sqlstate = "53100"


def database_error(cause):
    error = OperationalError("the database said no")
    error.__cause__ = cause
    return error


def test_own_when_error_is_returned_then_its_consequences_are_kept(transactional_db):
    @transactions.own
    def work():
        ResourceServer.objects.create(identifier="urn:kept", name="kept")
        return InvalidGrant("no")

    with pytest.raises(InvalidGrant):
        work()
    assert ResourceServer.objects.filter(identifier="urn:kept").exists()


def test_own_when_error_is_raised_then_nothing_is_kept(transactional_db):
    @transactions.own
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

    @transactions.own
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

    @transactions.own
    def work():
        attempts.append(1)
        raise database_error(DiskFull())

    with pytest.raises(OperationalError):
        work()
    assert len(attempts) == 1


def test_own_when_inside_another_transaction_then_refused(transactional_db):
    work = transactions.own(lambda: "done")

    with transaction.atomic(), pytest.raises(RuntimeError):
        work()


def test_joined_when_the_outer_transaction_fails_then_undone_with_it(transactional_db):
    def outer():
        with transaction.atomic():
            with transactions.joined():
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
        transactions.hold("a name")
        assert locks() == before + 1
    assert locks() == before
