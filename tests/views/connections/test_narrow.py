"""A person lets an app do less, and the app goes on with the rest."""

from datetime import timedelta

import pytest
from django.utils import timezone

from delegation_app.models import Delegation
from delegation_app.services.tokens import local_verifier
from tests.support.answers import nothing_stored, recorded
from tests.support.chains import Chain, last_event
from tests.support.connections import at, mark_on, post, send, shown
from tests.support.world import SERVICE_A, claims_of, delegation_of

BOTH = ["read:metrics", "write:alerts"]
READ = ["read:metrics"]


def the(row):
    return Delegation.objects.get(pk=row.pk)


@pytest.fixture
def tokens(story):
    return story.tokens()


@pytest.fixture
def row(tokens):
    return delegation_of(tokens)


def test_scopes_when_unticked(story, tokens, row, world):
    with recorded("delegation.narrowed"):
        answer = send(story, at(row, "narrow"), scopes=READ)
    assert (answer.status_code, answer["Location"]) == (303, at(row))
    event = last_event(event="delegation.narrowed")
    assert event.actor == f"user:{world.alice.pk}"
    # At once, for the token that is out
    assert str(local_verifier.verify(tokens["access_token"], SERVICE_A).scope) == "read:metrics"
    assert story.introspect(tokens["access_token"]).json()["scope"] == "read:metrics"
    # And the app notices nothing but a narrower answer
    fresh = story.refresh(tokens["refresh_token"])
    assert fresh.status_code == 200
    assert fresh.json()["scope"] == "read:metrics"
    assert claims_of(fresh.json()["access_token"])["scope"] == "read:metrics"
    assert story.refresh(fresh.json()["refresh_token"]).status_code == 200
    page = shown(story, at(row))
    assert "may do less now" in page
    assert "by you: without “Create alerts”" in page


def test_expiry_when_shortened(story, tokens, row, clock):
    send(story, at(row, "narrow"), scopes=BOTH, lifetime="3600")
    assert the(row).expires_at == timezone.now() + timedelta(hours=1)
    fresh = story.refresh(tokens["refresh_token"]).json()
    assert fresh["authorization_expires_in"] == 3600
    assert "by you: only until" in shown(story, at(row))
    clock.forward(hours=1, seconds=1)
    assert story.refresh(fresh["refresh_token"]).status_code == 400
    assert not story.is_active(fresh["access_token"])


def test_expiry_when_it_is_a_day(story, row, settings):
    settings.TIME_ZONE = "Asia/Tokyo"
    day = (timezone.localtime() + timedelta(days=3)).date()
    assert send(story, at(row, "narrow"), scopes=BOTH, day=day.isoformat()).status_code == 303
    ends = timezone.localtime(the(row).expires_at)
    assert (ends.date(), ends.hour, ends.minute, ends.second) == (day, 23, 59, 59)


def test_expiry_when_the_delegation_has_none(story, row):
    Delegation.objects.filter(pk=row.pk).update(expires_at=None)
    assert "when you or an operator ends it" in shown(story, at(row, "narrow"))
    assert send(story, at(row, "narrow"), scopes=BOTH, lifetime="2592000").status_code == 303
    assert the(row).expires_at is not None


def test_choices_when_it_ends_soon(story, row, clock):
    Delegation.objects.filter(pk=row.pk).update(expires_at=clock() + timedelta(hours=30))
    page = shown(story, at(row, "narrow"))
    assert 'value="86400"' in page
    assert 'value="604800"' not in page
    with nothing_stored():
        answer = send(story, at(row, "narrow"), scopes=BOTH, lifetime="604800")
    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"scopes": []}, "Keep at least one scope"),
        ({"scopes": BOTH}, "This would change nothing"),
        ({"scopes": [*BOTH, "read:profile"]}, "must be a part of what the delegation has"),
        ({"scopes": READ, "lifetime": "1"}, "Choose one of the offered durations"),
        ({"scopes": READ, "lifetime": "-3600"}, "Choose one of the offered durations"),
        ({"scopes": READ, "lifetime": "3600", "day": "2030-01-01"}, "not both"),
        ({"scopes": READ, "day": "2001-01-01"}, "must not be in the past"),
        ({"scopes": READ, "day": "9999-12-31"}, "must not be later than the current end"),
        ({"scopes": READ, "day": "tomorrow"}, "year-month-day"),
        ({"scopes": READ, "day": "2026-02-31"}, "year-month-day"),
        ({"scopes": READ, "day": ["2030-01-01", "2030-01-02"]}, "more than once"),
    ],
)
def test_form_when_it_makes_no_sense(story, row, fields, said):
    with nothing_stored(), recorded():
        answer = send(story, at(row, "narrow"), **fields)
    page = answer.content.decode()
    assert answer.status_code == 400
    alert = page.split('role="alert">', 1)[1].split("</p>")[0]
    assert said in alert
    assert "<title>Error:" in page
    # What was ticked is still ticked
    assert ('value="read:metrics" checked' in page) == ("read:metrics" in fields["scopes"])


def test_last_day_when_it_is_chosen(story, row):
    day = timezone.localtime(row.expires_at).date().isoformat()
    with nothing_stored():
        answer = send(story, at(row, "narrow"), scopes=BOTH, day=day)
    assert b"This would change nothing" in answer.content


def test_form_when_an_operator_took_a_scope_meanwhile(story, row):
    mark = mark_on(shown(story, at(row, "narrow")))
    Delegation.objects.filter(pk=row.pk).update(scopes="read:metrics")
    answer = post(story, at(row, "narrow"), person=mark, scopes=BOTH, lifetime="3600")
    assert answer.status_code == 400
    assert str(the(row).scopes) == "read:metrics"
    assert b"write:alerts" not in answer.content


def test_form_when_the_connection_has_ended(story, row):
    mark = mark_on(shown(story, at(row, "narrow")))
    send(story, at(row, "end"))
    assert "Only a live connection can be changed." in shown(story, at(row, "narrow"))
    with nothing_stored():
        answer = post(story, at(row, "narrow"), person=mark, scopes=READ)
    assert answer.status_code == 400
    assert b"<form" not in answer.content


def test_child_when_narrowed(story):
    chain = Chain(story)
    assert "Removed access stays blocked" in shown(story, at(chain.rows[1], "narrow"))
    send(story, at(chain.rows[1], "narrow"), scopes=READ)
    scopes = [str(the(row).scopes) for row in chain.rows]
    assert scopes == ["read:metrics write:alerts", "read:metrics", "read:metrics"]


def test_tree_when_nothing_is_left_of_a_part(story):
    chain = Chain(story)
    child = story.exchange(chain.tokens[0], scope="write:alerts").json()
    send(story, at(chain.rows[0], "narrow"), scopes=READ)
    assert delegation_of(child).revoked_at is not None
    assert chain.active() == [True, True, True]
