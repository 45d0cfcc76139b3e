"""Signing in: when it is due, what proves that it happened, and what the token says of it."""

from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.support.world import PASSWORD, Story, claims_of, redirected

pytestmark = pytest.mark.any_database


@pytest.fixture
def story(world, clock):
    """Alice, signed in by a clock that stands still."""
    return Story(world, world.alice)


def asks_to_sign_in(response):
    """Whether the answer is the way to the login page."""
    if response.status_code != 302:
        return False
    assert urlsplit(response["Location"])[:3] == ("", "", "/accounts/login/")
    return True


def sign_in(story, response, username="alice"):
    """Follow to the login page, sign in, and return where that leads."""
    assert asks_to_sign_in(response)
    back = parse_qs(urlsplit(response["Location"]).query)["next"][0]
    signed_in = story.browser.post(
        "/accounts/login/", {"username": username, "password": PASSWORD, "next": back}
    )
    assert (signed_in.status_code, signed_in["Location"]) == (303, back)
    return story.browser.get(back)


def is_page(response):
    return response.status_code == 200 and b'name="decision"' in response.content


# The prompt “none”


def test_prompt_none_when_nobody_is_signed_in(world):
    answer = redirected(Story(world).authorize(prompt="none"))
    assert (answer["error"], answer["state"]) == ("login_required", "af0ifjsldkj")


def test_prompt_none_when_sign_in_is_too_old(story, clock):
    story.tokens()
    clock.forward(seconds=61)
    assert redirected(story.authorize(prompt="none", max_age="60"))["error"] == "login_required"
    assert "code" in redirected(story.authorize(prompt="none", max_age="61"))


@pytest.mark.parametrize("prompt", ["none login", "login none", "none none consent"])
def test_prompt_none_when_joined_with_another(story, prompt):
    assert redirected(story.authorize(prompt=prompt))["error"] == "invalid_request"


# The other prompts


@pytest.mark.parametrize("prompt", ["login", "select_account", "login consent", "login  login"])
def test_prompt_when_it_wants_a_sign_in(story, clock, prompt):
    clock.forward(seconds=5)
    first = story.authorize(prompt=prompt)
    assert asks_to_sign_in(first)
    clock.forward(seconds=5)
    page = sign_in(story, first)
    assert is_page(page)
    tokens = story.redeem(redirected(story.answer(page))["code"]).json()
    assert claims_of(tokens["access_token"])["auth_time"] == int(clock.time.timestamp())


def test_prompt_login_when_asked_a_second_time(story, clock):
    clock.forward(seconds=5)
    sign_in(story, story.authorize(prompt="login"))
    clock.forward(seconds=5)
    assert asks_to_sign_in(story.authorize(prompt="login"))


@pytest.mark.parametrize("changes", [{"scope": "read:metrics"}, {"state": "other"}])
def test_proof_of_the_prompt_when_moved_to_another_request(story, clock, changes):
    clock.forward(seconds=5)
    response = story.authorize(prompt="login")
    sign_in(story, response)
    back = parse_qs(urlsplit(response["Location"]).query)["next"][0]
    kept = parse_qs(urlsplit(back).query)
    other = parse_qs(urlsplit(story.authorize(prompt="login", **changes)["Location"]).query)
    theirs = parse_qs(urlsplit(other["next"][0]).query)["resume"][0]
    clock.forward(seconds=5)
    for query in ({"prompt": "login", **changes}, {"prompt": "login"}):
        assert asks_to_sign_in(story.authorize(prompted=kept["prompted"][0], **query))
    moved = {"resume": theirs, "prompted": kept["prompted"][0]}
    assert asks_to_sign_in(story.browser.get("/oauth/authorize", moved))
    # The same request keeps its proof
    assert is_page(story.browser.get(back))


@pytest.mark.parametrize("marker", ["", "x", "1", "W10:1abcde:sig", "true", "💥"])
def test_proof_of_the_prompt_when_made_up(story, clock, marker):
    clock.forward(seconds=5)
    assert asks_to_sign_in(story.authorize(prompt="login", prompted=marker))


# max_age


@pytest.mark.parametrize(("age", "due"), [(59, False), (60, False), (61, True)])
def test_max_age_when_the_sign_in_is_older(story, clock, age, due):
    clock.forward(seconds=age)
    assert asks_to_sign_in(story.authorize(max_age="60")) is due


def test_max_age_zero_when_some_time_has_passed(story, clock):
    clock.forward(seconds=1)
    response = story.authorize(max_age="0")
    page = sign_in(story, response)
    assert is_page(page)
    clock.forward(seconds=3)
    # Reading the page took a while: that alone is no reason to ask for another sign-in
    back = parse_qs(urlsplit(response["Location"]).query)["next"][0]
    assert is_page(story.browser.get(back))


@pytest.mark.parametrize(
    "max_age",
    ["-1", "1.5", "1e3", "x", " 1", "+1", "٣", "²", "2147483648", "9" * 30, "9" * 5000, "0x10"],
)
def test_max_age_when_no_whole_number_of_seconds(story, max_age):
    assert redirected(story.authorize(max_age=max_age))["error"] == "invalid_request"


@pytest.mark.parametrize("max_age", ["2147483647", "0000000060", ""])
def test_max_age_when_large_padded_or_empty(story, max_age):
    assert is_page(story.authorize(max_age=max_age))


# What is told of it


@pytest.mark.conformance("AT-10")
def test_auth_time_when_refreshed_later(story, clock):
    signed_in = int(clock.time.timestamp())
    clock.forward(seconds=90)
    tokens = story.tokens()
    first = claims_of(tokens["access_token"])
    assert (first["auth_time"], first["acr"]) == (signed_in, "1")
    clock.forward(hours=1)
    story.browser.force_login(story.world.alice)
    refreshed = claims_of(story.refresh(tokens["refresh_token"]).json()["access_token"])
    assert (refreshed["auth_time"], refreshed["acr"]) == (signed_in, "1")
    assert refreshed["iat"] == signed_in + 90 + 3600


def test_auth_time_when_the_session_is_older_than_this_app(story):
    session = story.browser.session
    del session["delegation_auth_time"]
    session.save()
    story.world.alice.last_login = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    story.world.alice.save()
    token = story.tokens()["access_token"]
    assert claims_of(token)["auth_time"] == int(story.world.alice.last_login.timestamp())


def test_acr_when_the_site_knows_better(story):
    session = story.browser.session
    session["delegation_acr"] = "urn:mace:incommon:iap:silver"
    session.save()
    assert claims_of(story.tokens()["access_token"])["acr"] == "urn:mace:incommon:iap:silver"
