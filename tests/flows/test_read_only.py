"""Who only asks about a token needs a database that reads: no write, and no lock."""

import threading
import time
from contextlib import contextmanager

import pytest
from django.db import connection, connections, transaction
from django.test.utils import CaptureQueriesContext

from delegation_app.models import Delegation
from delegation_app.services.tokens import local_verifier, usage
from tests.support.answers import refused
from tests.support.broken_database import failing
from tests.support.statuses import status
from tests.support.world import SERVICE_A, claims_of, delegation_of

pytestmark = pytest.mark.django_db(transaction=True)


@contextmanager
def read_only():
    """The database takes no writes, as a standby, or after an operator said so."""
    switch = {
        "postgresql": "SET default_transaction_read_only = %s",
        "sqlite": "PRAGMA query_only = %s",
    }[connection.vendor]
    with connection.cursor() as cursor:
        cursor.execute(switch % "on")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(switch % "off")


@contextmanager
def locked(row):
    """Somebody else holds a row, or on SQLite the only place of a writer, and goes on and on."""
    held, done = threading.Event(), threading.Event()

    def hold():
        try:
            with transaction.atomic():
                Delegation.objects.select_for_update().get(pk=row.pk)
                held.set()
                done.wait(60)
        finally:
            connections.close_all()

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(30)
    try:
        yield
    finally:
        done.set()
        thread.join()


@pytest.fixture
def tokens(story):
    """A dozen delegations that nobody has used yet."""
    made = [story.tokens(prompt="consent") for _ in range(12)]
    story.introspect("warm-up")
    Delegation.objects.update(last_used_at=None)
    return made


def test_database_when_it_is_read_only(story, tokens, caplog):
    with read_only():
        for answer in tokens:
            assert story.is_active(answer["access_token"])
            assert story.introspect(answer["refresh_token"]).status_code == 200
            assert local_verifier.verify(answer["access_token"], SERVICE_A)
            usage._pause.until = float("-inf")
        assert status(story, tokens[0]["access_token"]) == 0
        assert story.wire.get("/oauth/jwks").status_code == 200
        # What has to write says so
        refused(story.refresh(tokens[0]["refresh_token"]), "temporarily_unavailable", 503)
        refused(story.revoke(tokens[0]["refresh_token"]), "temporarily_unavailable", 503)
    assert not Delegation.objects.exclude(last_used_at=None).exists()
    notes = [record for record in caplog.records if "was not noted" in record.getMessage()]
    assert len(notes) == 1
    # It takes writes again, and uses are noted again
    assert story.is_active(tokens[0]["access_token"])
    assert delegation_of(tokens[0]).last_used_at is not None


def test_note_when_it_failed(story, tokens):
    with read_only():
        story.introspect(tokens[0]["access_token"])
        with CaptureQueriesContext(connection) as captured:
            story.introspect(tokens[1]["access_token"])
    assert not any(query["sql"].startswith("UPDATE") for query in captured)


@pytest.mark.parametrize("ask", ["introspect", "verify"])
def test_row_when_somebody_else_holds_it(story, tokens, ask):
    token = tokens[0]["access_token"]
    with locked(delegation_of(tokens[0])):
        began = time.monotonic()
        if ask == "introspect":
            assert story.is_active(token)
        else:
            assert local_verifier.verify(token, SERVICE_A).jti == claims_of(token)["jti"]
        assert time.monotonic() - began < 2
        assert delegation_of(tokens[0]).last_used_at is None
        # Another row is none of the holder's business, where rows are locked one by one
        usage.forget()
        assert story.is_active(tokens[1]["access_token"])
        noted = delegation_of(tokens[1]).last_used_at is not None
        assert noted == (connection.vendor == "postgresql")
    # SQLite is as patient as before
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            assert cursor.execute("PRAGMA busy_timeout").fetchone()[0] > 1000


@pytest.mark.postgresql
def test_transaction_of_the_site_when_the_use_can_not_be_noted(story, tokens):
    with read_only(), transaction.atomic():
        assert local_verifier.verify(tokens[0]["access_token"], SERVICE_A)
        assert Delegation.objects.count() == 12


def test_transaction_of_the_site_when_it_is_broken_already(story, tokens):
    row = delegation_of(tokens[0])
    with transaction.atomic():
        transaction.set_rollback(True)
        usage.note(row, row.issued_at)
    assert delegation_of(tokens[0]).last_used_at is None


def test_verification_when_only_the_note_fails(story, tokens):
    with failing(2) as failure:
        assert local_verifier.verify(tokens[0]["access_token"], SERVICE_A)
    assert failure.happened


def test_note_when_there_are_many_uses(story, clock):
    answer = story.tokens()
    token = answer["access_token"]
    story.introspect(token)
    clock.forward(minutes=2)
    with CaptureQueriesContext(connection) as first:
        story.introspect(token)
    with CaptureQueriesContext(connection) as second:
        story.introspect(token)
    assert (len(first), len(second)) == (3, 2)
    assert delegation_of(answer).last_used_at == clock.time
