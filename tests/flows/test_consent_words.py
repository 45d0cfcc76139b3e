"""The consent page in words: what it says, what comes ticked, and what is kept of it."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from delegation_app import toolkit
from delegation_app.models import ConsentRecord, Delegation, ResourceServer
from delegation_app.protocol.constraints import Constraints
from delegation_app.services.clients import logos
from delegation_app.services.consent.fragments import text_of
from tests.support.world import SERVICE_A, redirected

pytestmark = pytest.mark.any_database

ALL = "read:metrics write:alerts delete:alerts"
RISKS = {"read:metrics": "low", "delete:alerts": "high"}


@pytest.fixture
def risky(story, settings):
    """The same world, in which deleting is a high risk, and web may ask for it."""
    settings.DELEGATION = {**settings.DELEGATION, "SCOPE_RISKS": RISKS}
    story.world.web.change(scopes=f"{ALL} read:profile")
    return story


def html_of(response):
    return " ".join(response.content.decode().split())


def boxes(response):
    """The boxes of the page, and whether each is ticked."""
    found = re.findall(
        r'<input type="checkbox" name="scopes" value="([^"]+)"( checked)?>', html_of(response)
    )
    return {name: bool(checked) for name, checked in found}


def test_page_when_a_scope_is_risky(risky):
    page = risky.authorize(scope=ALL)
    assert boxes(page) == {"read:metrics": True, "write:alerts": True, "delete:alerts": False}
    html = html_of(page)
    for words in ("low risk", "medium risk", "high risk", "Items of high risk are not ticked"):
        assert words in html


def test_page_when_it_has_limits_or_none(story):
    for lifetime in (None, 3600):
        story.world.web.change(constraints=Constraints(), delegation_lifetime=lifetime)
        html = html_of(story.authorize())
        assert "that you choose." in html
        assert "limits" not in html.partition("that you choose")[2].partition("</p>")[0]
        limited = Constraints.parse([{"type": "max_depth", "depth": 1}])
        story.world.web.change(constraints=limited)
        assert "that you choose, within the limits below." in html_of(story.authorize())


def test_page_when_shown(story):
    story.world.web.change(
        home_page="https://web.example.com/about",
        privacy_page="https://web.example.com/privacy",
        constraints=Constraints.parse([{"type": "max_depth", "depth": 1}]),
    )
    applications = toolkit.application_model().objects.filter(client_id="web")
    applications.update(created=timezone.now() - timedelta(days=2, hours=3))
    html = html_of(story.authorize())
    assert (
        "If you allow this, you let <bdi><strong>Web</strong></bdi> act for you at "
        "<bdi><strong>Service A</strong></bdi> until "
    ) in html
    assert "Registered here 2 days ago." in html
    for address in ("https://web.example.com/about", "https://web.example.com/privacy"):
        assert f'<a href="{address}" rel="noopener noreferrer">' in html
    assert "It may be delegated onward at most once." in html
    # A's client may go on to B; from there it would be a second step
    assert "May be passed on to</dt> <dd><bdi>Service B</bdi>" in html
    assert "Service C" not in html


@pytest.mark.parametrize(
    "limit",
    [{"type": "max_depth", "depth": 0}, {"type": "resource_servers", "identifiers": [SERVICE_A]}],
    ids=["depth", "servers"],
)
def test_page_when_limits_keep_it_from_being_passed_on(story, limit):
    story.world.web.change(constraints=Constraints.parse([limit]))
    assert "May be passed on to</dt> <dd><bdi>no other service</bdi>" in html_of(story.authorize())


def test_page_when_it_may_be_passed_on_and_on(story):
    html = html_of(story.authorize())
    assert "<bdi>Service B</bdi>" in html
    assert "<bdi>Service C</bdi>" in html
    ResourceServer.objects.filter(name="Service B").update(active=False)
    html = html_of(story.authorize())
    assert "Service B" not in html
    assert "Service C" not in html


def test_needed_scopes_when_one_is_missing(story):
    story.world.web.change(required_scopes="read:metrics delete:alerts")
    page = story.authorize()
    assert "It cannot work without these." in html_of(page)
    again = story.answer(page, scopes=["write:alerts"], lifetime="3600")
    assert again.status_code == 400
    assert "cannot work without: Read metrics." in html_of(again)
    assert not ConsentRecord.objects.exists()
    # What was chosen is kept; what the app did not ask for is not needed
    assert boxes(again) == {"read:metrics": False, "write:alerts": True}
    assert '<option value="3600" selected>' in html_of(again)
    assert "code" in redirected(story.answer(again, scopes=["read:metrics"]))
    assert story.answer(page).status_code == 400


def test_allow_when_nothing_risky_was_ticked_by_hand(risky):
    page = risky.authorize(scope="delete:alerts")
    again = risky.answer(page, scopes=[])
    assert (again.status_code, ConsentRecord.objects.count()) == (400, 0)
    assert "Tick what you allow, or press Deny." in html_of(again)
    assert redirected(risky.answer(again, decision="deny"))["error"] == "access_denied"


@pytest.mark.parametrize(
    ("grants", "longest", "chosen"),
    [
        (["authorization_code", "refresh_token"], None, "2592000"),
        (["authorization_code"], None, "3600"),
        (["authorization_code", "refresh_token"], 7200, ""),
    ],
    ids=["refreshes", "once", "short"],
)
def test_time_when_the_page_opens(story, grants, longest, chosen):
    story.world.web.change(grants=grants, delegation_lifetime=longest)
    html = html_of(story.authorize())
    assert re.findall(r'<option value="(\d*)" selected>', html) == [chosen]


# A second consent


def test_second_question_when_something_is_new(story):
    story.tokens(scopes=["read:metrics"])
    page = story.authorize()
    html = html_of(page)
    assert boxes(page) == {"write:alerts": True}
    assert "do more for you?" in html
    assert "You allowed this before. It stays." in html
    assert '<span class="mark mark-new">new</span>' in html
    story.answer(page)
    record = ConsentRecord.objects.latest("pk")
    assert str(record.scopes_granted) == "read:metrics write:alerts"
    assert str(Delegation.objects.latest("pk").scopes) == "read:metrics write:alerts"


def test_second_question_when_denied(story):
    story.tokens(scopes=["read:metrics"])
    story.answer(story.authorize(), decision="deny")
    assert str(ConsentRecord.objects.latest("pk").scopes_refused) == "write:alerts"
    assert "code" in redirected(story.authorize(scope="read:metrics"))


@pytest.mark.parametrize("how", ["public", "prompt"])
def test_second_question_when_all_has_to_be_asked_again(story, how):
    app = story.world.mobile if how == "public" else story.world.web
    prompt = {} if how == "public" else {"prompt": "consent"}
    story.tokens(app, scopes=["read:metrics"])
    page = story.authorize(app, **prompt)
    assert set(boxes(page)) == {"read:metrics", "write:alerts"}
    assert "allowed before" in html_of(page)
    assert html_of(page).count("mark-new") == 1


def test_second_question_when_the_first_answer_is_withdrawn_meanwhile(story):
    story.tokens(scopes=["read:metrics"])
    page = story.authorize()
    ConsentRecord.objects.update(withdrawn_at=timezone.now())
    again = story.answer(page)
    assert again.status_code == 400
    assert "has changed just now" in html_of(again)
    assert set(boxes(again)) == {"read:metrics", "write:alerts"}
    assert ConsentRecord.objects.count() == 1


# The record


def test_record_when_answered(risky):
    page = risky.authorize(scope=ALL)
    risky.answer(page, scopes=["read:metrics"])
    shown = ConsentRecord.objects.get().shown
    html = html_of(page)
    assert text_of(shown["heading"]) == "Let Web act for you?"
    for kind, text in shown["sentence"]:
        assert kind in {"plain", "name"}
        assert text.strip() in html
    assert [row["risk_text"] for row in shown["groups"][0]["scopes"]] == [
        "high risk",
        "low risk",
        "medium risk",
    ]
    options = re.findall(r'<option value="(\d*)"[^>]*>([^<]+)</option>', html)
    assert [list(option) for option in options] == shown["time"]["options"]
    facts = {fact["label"]: fact["lines"] for fact in shown["facts"]}
    assert facts["Afterwards you go to"] == [{"text": "web.example.com", "strong": True}]


@pytest.mark.parametrize(
    "change",
    [
        {"delegation_lifetime": 7200},
        {"required_scopes": "read:metrics"},
        {"privacy_page": "https://web.example.com/privacy"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_answer_when_the_page_would_say_something_else_now(story, change):
    page = story.authorize()
    story.world.web.change(**change)
    again = story.answer(page)
    assert again.status_code == 400
    assert "Read it again before you answer." in html_of(again)
    assert not ConsentRecord.objects.exists()
    assert "code" in redirected(story.answer(again))


def test_answer_when_the_page_has_changed_and_it_is_no(story):
    page = story.authorize()
    toolkit.application_model().objects.filter(client_id="web").update(name="Another")
    assert redirected(story.answer(page, decision="deny"))["error"] == "access_denied"
    record = ConsentRecord.objects.get()
    assert (record.decision, record.shown, record.text_version) == ("denied", {}, "")


def test_answer_when_given_a_while_later(story, clock):
    page = story.authorize()
    clock.forward(seconds=300)
    assert "code" in redirected(story.answer(page))


# The logo

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 20


def test_logo_when_there_is_one(story):
    for app in (story.world.web, story.world.mobile):
        logos.put(app.policy, PNG)
    html = html_of(story.authorize())
    [address] = re.findall(r'<img class="logo" src="([^"]+)" alt=""', html)
    # Any app can claim to be a public client: no picture vouches for it
    assert "<img" not in html_of(story.authorize(story.world.mobile))
    image = story.wire.get(address)
    assert (image.content, image["Content-Type"]) == (PNG, "image/png")
    assert image["X-Content-Type-Options"] == "nosniff"
    assert image["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert "immutable" in image["Cache-Control"]


@pytest.mark.parametrize("name", ["x", "0" * 64, "..%2f..%2fsettings.py", "a%00b", "A" * 64])
def test_logo_when_there_is_none_of_that_name(story, name):
    assert story.wire.get(f"/oauth/logo/{name}").status_code == 404
