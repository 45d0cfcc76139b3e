"""Disabling a person leaves an event, so the trail can say since when."""

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext, isolate_apps

from delegation_app.models import AuditEvent


def told():
    events = AuditEvent.objects.filter(event__startswith="user.").order_by("pk")
    return [(event.event, event.subject, event.actor) for event in events]


@pytest.fixture
def alice(world):
    return world.alice


def test_person_when_disabled_and_enabled_again_then_there_is_an_event_for_each(alice):
    subject = f"user:{alice.pk}"
    for is_active in (False, False, True, True, False):
        alice.is_active = is_active
        alice.save()
    assert told() == [
        ("user.disabled", subject, "system"),
        ("user.enabled", subject, "system"),
        ("user.disabled", subject, "system"),
    ]


def test_person_when_only_other_columns_are_written_then_nothing_is_read_or_recorded(alice):
    alice.is_active = False
    with CaptureQueriesContext(connection) as captured:
        alice.save(update_fields=["last_login"])
    assert len(captured) == 1
    assert told() == []
    # What is in memory is compared with what is on file
    alice.save(update_fields=["is_active"])
    assert [event for event, *_ in told()] == ["user.disabled"]


def test_person_when_new_or_from_a_fixture_then_nothing_is_recorded(alice):
    users = get_user_model()
    users.objects.create_user("carol", is_active=False)
    users(pk=alice.pk, username="alice", is_active=False).save_base(raw=True)
    users.objects.filter(pk=alice.pk).update(is_active=True)
    assert told() == []


def test_person_when_saved_by_a_form_of_the_admin_then_it_is_recorded(alice, admin_client):
    url = f"/admin/auth/user/{alice.pk}/change/"
    # The box of “active” is not ticked
    data = {"username": "alice", "date_joined_0": "2026-01-01", "date_joined_1": "00:00:00"}
    answer = admin_client.post(url, data, secure=True)
    assert answer.status_code == 302, answer.context["errors"]
    assert [event for event, *_ in told()] == ["user.disabled"]


@isolate_apps("tests", attr_name="apps")
def test_person_when_saved_as_a_proxy_then_it_counts_too(alice):
    class Customer(User):
        class Meta:
            proxy = True
            app_label = "tests"

    customer = Customer.objects.get(pk=alice.pk)
    customer.is_active = False
    customer.save()
    assert [event for event, *_ in told()] == ["user.disabled"]


def test_person_when_the_transaction_is_rolled_back_then_so_is_the_event(alice, story):
    with transaction.atomic():
        alice.is_active = False
        alice.save()
        transaction.set_rollback(True)
    assert told() == []
    assert story.code()
