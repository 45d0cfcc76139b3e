"""A person ends what apps may do: one, a part of a tree, one app, everything."""

import pytest

from delegation_app.models import AuditEvent, ConsentRecord
from delegation_app.protocol.errors import InvalidToken
from delegation_app.services.tokens import local_verifier
from tests.support.answers import never_stored, nothing_stored, recorded, refused
from tests.support.chains import last_event
from tests.support.connections import ALL, LIST, apps_on, at, mark_on, post, send, shown
from tests.support.world import SERVICE_A, Story


def test_end_when_asked(chain, story, settings):
    settings.DELEGATION = {
        **settings.DELEGATION,
        "STATUS_LIST_TTL": 20,
        "STATUS_LIST_CACHE_SECONDS": 3,
    }
    with nothing_stored():
        page = shown(story, at(chain.rows[0], "end"))
    for text in (
        "1 connection<", "passed on to 2 other apps", "3 live access tokens, 1 refresh token",
        "within about 23 seconds", "be undone", "Service-B", "Service C",
    ):  # fmt: skip
        assert text in page
    assert chain.active() == [True, True, True]


def test_end_when_confirmed(chain, story, world):
    with recorded("delegation.revoked"):
        answer = send(story, at(chain.rows[0], "end"), reason="lost my phone")
    assert (answer.status_code, answer["Location"]) == (303, LIST)
    never_stored(answer)
    assert chain.active() == [False, False, False]
    with pytest.raises(InvalidToken):
        local_verifier.verify(chain.tokens[0], SERVICE_A)
    refused(story.refresh(chain.answers[0]["refresh_token"]), "invalid_grant")
    event = last_event(event="delegation.revoked")
    assert (event.actor, event.reason) == (f"user:{world.alice.pk}", "lost my phone")
    page = shown(story, LIST)
    assert "You ended this connection. <strong>Web</strong>" in page
    assert 'role="status"' not in shown(story, LIST)
    page = shown(story, at(chain.rows[0]))
    assert "ended by you" in page
    assert "lost my phone" in page


def test_end_when_it_has_ended(chain, story):
    send(story, at(chain.rows[0], "end"))
    assert "This connection has already ended." in shown(story, at(chain.rows[0], "end"))


def test_end_when_it_was_ended_in_another_window(chain, story, world):
    mark = mark_on(shown(story, at(chain.rows[0], "end")))
    assert post(story, at(chain.rows[0], "end"), person=mark).status_code == 303
    with nothing_stored(), recorded():
        assert post(story, at(chain.rows[0], "end"), person=mark).status_code == 303
    assert "had already ended" in shown(story, LIST)


def test_end_when_of_a_child(chain, story):
    answer = send(story, at(chain.rows[1], "end"))
    assert answer["Location"] == at(chain.rows[0])
    assert chain.active() == [True, False, False]
    refused(story.exchange(chain.tokens[0]), "invalid_target")
    assert "You ended this connection. <strong>Service-A</strong>" in shown(
        story, at(chain.rows[0])
    )


def test_suspended_when_ended(chain, story, world):
    world.web.change(enabled=False)
    send(story, at(chain.rows[0], "end"))
    world.web.change(enabled=True)
    assert chain.active() == [False, False, False]


def test_everything_when_ended_then_all_of_this_person_and_nothing_of_others(chain, story, world):
    story.tokens(world.mobile)
    bobs = Story(world, world.bob).tokens()
    page = shown(story, ALL)
    for text in ("2 connections<", "4 live access tokens", "Mobile", "Web", "change your password"):
        assert text in page
    with recorded(*["delegation.revoked"] * 2, *["consent.withdrawn"] * 2):
        answer = send(story, ALL, reason="lost my phone")
    assert (answer.status_code, answer["Location"]) == (303, LIST)
    page = shown(story, LIST)
    assert "The connections have ended." in page
    assert apps_on(page) == []
    assert chain.active() == [False, False, False]
    assert story.is_active(bobs["access_token"])
    assert {event.actor for event in AuditEvent.objects.filter(event="delegation.revoked")} == {
        f"user:{world.alice.pk}"
    }


def test_everything_when_ended_then_old_answers_do_not_speak_any_more(story):
    tokens = story.tokens()
    # What an app gives back itself, it may have again without a question
    story.revoke(tokens["refresh_token"])
    assert "No connection is live." in shown(story, ALL)
    send(story, ALL)
    assert not ConsentRecord.objects.filter(withdrawn_at=None).exists()
    assert story.authorize().status_code == 200
    assert "no live connections to end" in shown(story, LIST)


def test_everything_when_of_one_app(chain, story, world):
    other = story.tokens(world.other)
    address = f"{ALL}?app=web"
    assert address in shown(story, f"{LIST}?app=web")
    page = shown(story, address)
    assert "1 connection<" in page
    assert "Other" not in page
    send(story, address, app="web")
    assert chain.active() == [False, False, False]
    assert story.is_active(other["access_token"])
    assert ConsentRecord.objects.filter(withdrawn_at=None).get().client_id_value == "other"
    assert story.authorize().status_code == 200


def test_everything_when_of_an_app_that_only_got_it_passed_on(chain, story):
    send(story, f"{ALL}?app=service-a", app="service-a")
    assert chain.active() == [True, False, False]


def test_page_when_no_reason_was_given(chain, story):
    send(story, at(chain.rows[0], "end"))
    page = shown(story, at(chain.rows[0]))
    assert "ended by you" in page
    assert "Reason" not in page


def test_end_when_no_reason_is_given(chain, story):
    send(story, at(chain.rows[0], "end"))
    assert last_event(event="delegation.revoked").reason == "ended by the user"
