import pytest
from django.core.checks import Tags, run_checks

from delegation_app.checks.values import check_settings
from delegation_app.models import OutboxMessage

pytestmark = pytest.mark.any_database


def found(*databases):
    messages = run_checks(tags=[Tags.database], databases=list(databases))
    return [message for message in messages if message.id == "delegation_app.W035"]


@pytest.fixture
def message(db, clock):
    return OutboxMessage.objects.create(
        kind="delegation.created", created_at=clock.time, due_at=clock.time
    )


def test_check_when_a_message_waits_for_more_than_15_minutes_then_w035(message, clock):
    clock.forward(minutes=15)
    assert found("default") == []
    clock.forward(seconds=1)
    assert len(found("default")) == 1
    # A check that reads rows is run where a database is named
    assert found() == []


def test_check_when_the_message_was_delivered_then_nothing_is_said(message, clock):
    clock.forward(hours=1)
    OutboxMessage.objects.update(delivered_at=clock.time)
    assert found("default") == []


@pytest.mark.parametrize("value", [1, "yes", None, []])
def test_check_when_the_outbox_is_neither_on_nor_off_then_e004(settings, value):
    settings.DELEGATION = {**settings.DELEGATION, "OUTBOX": value}
    errors = [message for message in check_settings() if message.id == "delegation_app.E004"]
    assert [message.msg for message in errors] == [f"OUTBOX must be True or False, not {value!r}."]


@pytest.mark.parametrize("value", [True, False])
def test_check_when_the_outbox_is_on_or_off_then_nothing_is_said(settings, value):
    settings.DELEGATION = {**settings.DELEGATION, "OUTBOX": value}
    assert check_settings() == []
