"""Records name a deleted user by the subject; the trail knows the user name that belonged to it."""

from io import StringIO

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command

from delegation_app.models import AuditEvent
from delegation_app.services.delegations.filters import DelegationFilter
from delegation_app.services.reporting.audit_query import AuditQuery
from tests.admin.conftest import browser, page, text_of
from tests.support.world import delegation_of


def run(*arguments):
    out, err = StringIO(), StringIO()
    call_command(*arguments, stdout=out, stderr=err)
    return out.getvalue() + err.getvalue()


@pytest.fixture
def gone(story, world):
    """Alice's delegation, after she was deleted."""
    row = delegation_of(story.tokens())
    world.alice.delete()
    row.refresh_from_db()
    return row


def test_user_when_deleted_then_one_event_has_the_name(gone):
    event = AuditEvent.objects.get(event="user.deleted")
    assert event.subject == gone.subject
    assert event.details == {"user_name": "alice"}
    ended = AuditEvent.objects.get(event="delegation.revoked")
    assert (ended.subject, ended.pk > event.pk) == (gone.subject, True)


@pytest.mark.parametrize("name", ["subject", "about"])
def test_trail_when_it_is_filtered_by_the_name_of_a_deleted_user_then_it_finds_the_end(gone, name):
    found = [event.event for event in AuditQuery(**{name: "alice"}).events.all()]
    assert {"user.deleted", "delegation.revoked", "consent.granted"} <= set(found)
    assert list(AuditQuery(**{name: "alic"}).events.all()) == []


def test_commands_when_they_are_given_the_name_of_a_deleted_user_then_they_find(gone):
    assert str(gone.public_id) in run("delegations", "list", "--user", "alice")
    assert gone in DelegationFilter(user="alice").rows()
    told = run("audit", "--user", "alice")
    assert "user.deleted" in told
    assert "no person" not in told


def test_name_when_another_user_has_it_now_then_it_is_that_one(gone):
    get_user_model().objects.create_user("alice")
    assert gone not in DelegationFilter(user="alice").rows()
    assert gone in DelegationFilter(subject=gone.subject).rows()


def test_page_of_the_event_when_shown_then_it_has_the_name(gone):
    event = AuditEvent.objects.get(event="user.deleted")
    html = text_of(browser("superuser").get(page("auditevent", "change", event.pk)))
    assert "User name" in html
    assert "alice" in html
