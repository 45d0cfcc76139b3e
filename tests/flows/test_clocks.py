"""Nodes whose clocks differ, before one PostgreSQL: its clock decides."""

from contextlib import contextmanager
from datetime import timedelta
from unittest import mock

import pytest
from django.db import DatabaseError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from delegation_app import clock
from delegation_app.models import AuditEvent, Delegation
from delegation_app.services.tokens import local_verifier
from tests.support.answers import refused
from tests.support.statuses import status
from tests.support.world import SERVICE_A, claims_of, delegation_of

pytestmark = [pytest.mark.postgresql, pytest.mark.django_db(transaction=True)]

_TRUE_WALL, _TRUE_NOW = clock._wall, timezone.now
OFF = [-7200, -60, -10, 10, 60, 7200]


@contextmanager
def node(seconds):
    """Requests in this block are answered by a node whose clock is off."""

    def wall():
        return _TRUE_WALL() + seconds

    def now():
        return _TRUE_NOW() + timedelta(seconds=seconds)

    with mock.patch.object(clock, "_wall", wall), mock.patch("django.utils.timezone.now", now):
        clock.forget()
        connection.ensure_connection()
        clock.on_connection(connection)
        yield
    clock.forget()


@pytest.mark.parametrize("off", OFF)
def test_retry_when_another_node_is_off(story, off):
    tokens = story.tokens()
    first = story.refresh(tokens["refresh_token"]).json()
    with node(off):
        again = story.refresh(tokens["refresh_token"])
        assert again.status_code == 200
        assert again.json()["refresh_token"] == first["refresh_token"]
    assert delegation_of(tokens).revoked_at is None


@pytest.mark.parametrize("off", OFF)
def test_code_when_it_has_expired(story, off, settings):
    settings.DELEGATION = {**settings.DELEGATION, "AUTHORIZATION_CODE_LIFETIME": 0}
    code = story.code()
    with node(off):
        refused(story.redeem(code), "invalid_grant")


@pytest.mark.parametrize("off", OFF)
def test_token_when_a_node_that_is_off_issues_it(story, off):
    with node(off):
        tokens = story.tokens()
    claims = claims_of(tokens["access_token"])
    assert abs(claims["iat"] - _TRUE_WALL()) < 10
    assert claims["exp"] - claims["iat"] == 600
    assert story.is_active(tokens["access_token"])
    with node(-off):
        assert story.is_active(tokens["access_token"])
        assert local_verifier.verify(tokens["access_token"], SERVICE_A)


@pytest.mark.parametrize("off", OFF)
def test_revocation_when_a_node_that_is_off_does_it(story, off):
    token = story.tokens()["access_token"]
    assert status(story, token) == 0
    with node(off):
        delegation = delegation_of({"access_token": token})
        story.revoke(token)
        second = story.tokens(prompt="consent")
        assert status(story, second["access_token"]) == 0
        story.revoke(second["refresh_token"])
    assert status(story, token) == 1
    assert status(story, second["access_token"]) == 1
    events = AuditEvent.objects.filter(delegation=delegation)
    assert all(abs(event.occurred_at - _TRUE_NOW()) < timedelta(seconds=10) for event in events)


@pytest.mark.parametrize("off", OFF)
def test_delegation_when_it_has_ended(story, off):
    tokens = story.tokens()
    Delegation.objects.update(
        issued_at=_TRUE_NOW() - timedelta(hours=1), expires_at=_TRUE_NOW() - timedelta(seconds=1)
    )
    with node(off):
        assert not story.is_active(tokens["access_token"])
        assert not Delegation.objects.live().exists()


def test_clock_when_it_is_measured(story):
    token = story.tokens()["access_token"]
    story.introspect(token)
    with CaptureQueriesContext(connection) as before:
        story.introspect(token)
    clock.forget()
    with node(5), CaptureQueriesContext(connection) as after:
        story.introspect(token)
    assert len(after) == len(before)


def test_clock_when_the_connection_was_closed():
    connection.close()
    with node(100):
        assert abs(clock.drift() + timedelta(seconds=100)) < timedelta(seconds=1)


def test_clock_when_a_transaction_is_broken():
    clock.on_connection(connection)
    with transaction.atomic():
        with connection.cursor() as cursor, pytest.raises(DatabaseError):
            cursor.execute("SELECT no_such_column")
        clock._state.measured = clock._Measured(timedelta(0), 0.0, 0.0)
        assert clock.now()
        transaction.set_rollback(True)
    assert clock.now()
