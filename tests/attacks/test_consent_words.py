"""Hostile words on the consent page and in the console: from clients, policies and scopes."""

import pytest

from delegation_app import toolkit
from delegation_app.models import ConsentRecord, Delegation, PendingRequest, ResourceServer
from delegation_app.services.consent.fragments import fragments, sanitize, text_of
from tests.admin.conftest import browser, page
from tests.support.world import Story

MARKUP = '"><script>alert(1)</script><img src=x onerror=alert(2)>'
# Turns what follows, and ends an isolation from within
TURNED = "Bank\u202e\u2066\u2069 kcatta %(day)s %s {% now 'Y' %}"


def hostile(world, settings, text):
    toolkit.application_model().objects.filter(client_id="web").update(name=text)
    ResourceServer.objects.filter(name="Service A").update(name=text)
    world.web.change(
        home_page="javascript:alert(1)",
        privacy_page="https://user:pw@evil.example/<script>",
        required_scopes="read:metrics",
    )
    scopes = {**settings.OAUTH2_PROVIDER["SCOPES"], "read:metrics": text}
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "SCOPES": scopes}


@pytest.mark.parametrize("text", [MARKUP, TURNED], ids=["markup", "direction"])
def test_words_when_they_are_hostile_then_they_stay_text_on_every_page(world, settings, text):
    story = Story(world, world.alice)
    hostile(world, settings, text)
    asked = story.authorize()
    again = story.answer(asked, scopes=["write:alerts"])
    assert again.status_code == 400
    story.answer(again, scopes=["read:metrics"])
    record = ConsentRecord.objects.get()
    reviewed = browser("operator").get(page("consentrecord", "change", record.pk))
    for response in (asked, again, reviewed):
        html = response.content.decode()
        assert "<script>alert" not in html
        assert "<img src=x" not in html
    for response in (asked, again):
        # Neither address is one to lead people to, however it came into the table
        assert "javascript:" not in response.content.decode()
        assert "evil.example" not in response.content.decode()
        assert not set("\u202e\u2066\u2069") & set(response.content.decode())
    assert text_of(record.shown["heading"]) == f"Let {sanitize(text)} act for you?"


def test_name_when_it_is_empty_or_blank_then_the_client_id_stands_for_it(world):
    toolkit.application_model().objects.filter(client_id="web").update(name="\u202e \n")
    html = Story(world, world.alice).authorize().content.decode()
    assert "Let <bdi><strong>web</strong></bdi> act for you?" in html


def test_name_when_it_looks_like_a_place_in_a_sentence_then_it_is_not_one():
    found = fragments("%(app)s at %(place)s, 100%%", app="%(place)s", place="B")
    assert text_of(found) == "%(place)s at B, 100%"
    assert [kind for kind, _text in found] == ["name", "plain", "name", "plain"]


@pytest.mark.parametrize("scopes", [["read:profile"], ["read:metrics", "read:profile"]])
def test_answer_when_it_ticks_what_had_no_box_then_nothing_more_is_granted(world, scopes):
    story = Story(world, world.alice)
    story.tokens(scopes=["read:metrics"])
    asked = story.authorize()
    response = story.answer(asked, scopes=scopes)
    assert response.status_code == 400
    assert Delegation.objects.count() == ConsentRecord.objects.count() == 1


def test_answer_when_a_page_said_that_something_is_held_of_another_person_then_it_is_asked(world):
    alice, bob = Story(world, world.alice), Story(world, world.bob)
    alice.tokens(scopes=["read:metrics"])
    asked = alice.authorize()
    PendingRequest.objects.update(subject=f"user:{world.bob.pk}")
    bob.browser.cookies["delegation_browser"] = alice.browser.cookies["delegation_browser"].value
    response = bob.answer(asked)
    assert response.status_code == 400
    assert "has changed just now" in response.content.decode()
    assert Delegation.objects.filter(principal_user=world.bob).count() == 0
