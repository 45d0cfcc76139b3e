"""A fresh sign-in, on a site whose login page sends signed-in users back at once."""

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from django.utils.html import escape

from delegation_app.models import Delegation, PendingRequest
from tests.support.world import FORM, PASSWORD, Story, claims_of, redirected

AUTHORIZE = "/oauth/authorize"
WANTS = [{"prompt": "login"}, {"prompt": "select_account"}, {"max_age": "0"}, {"max_age": "3"}]


@pytest.fixture
def story(world, clock, settings):
    """Alice, signed in some time ago, on such a site."""
    settings.ROOT_URLCONF = "tests.support.bouncing_urls"
    story = Story(world, world.alice)
    clock.forward(seconds=10)
    return story


def follow(story, response, most=5):
    """Go where the answers lead on this site, as browsers do, and return the page at the end."""
    for _ in range(most):
        if response.status_code not in {302, 303}:
            return response
        response = story.browser.get(response["Location"])
    raise AssertionError("endless redirects")


def press(story, page, **changes):
    """Press the button of the page that offers to sign out."""
    handle = re.search(r'name="handle" value="([^"]+)"', page.content.decode())[1]
    fields = {"handle": handle, "decision": "sign-in", **changes}
    return story.browser.post(
        AUTHORIZE, "&".join(f"{name}={value}" for name, value in fields.items()), content_type=FORM
    )


def sign_in(story, page, username="alice"):
    """Fill in the login page, and go on."""
    fields = {"username": username, "password": PASSWORD, "next": page.context["next"]}
    return follow(story, story.browser.post("/accounts/login/", fields))


@pytest.mark.parametrize("wants", WANTS, ids=str)
def test_sign_in_when_the_login_page_sends_back_at_once(story, clock, wants):
    page = follow(story, story.authorize(**wants))
    assert page.status_code == 200
    html = page.content.decode()
    assert "<h1>Sign in again</h1>" in html
    assert "<strong>Web</strong>" in html
    assert "<strong>alice</strong>" in html
    assert not Delegation.objects.exists()

    clock.forward(seconds=5)
    login = follow(story, press(story, page))
    assert login.templates[0].name == "registration/login.html"
    question = sign_in(story, login)
    answer = redirected(story.answer(question))
    assert answer["state"] == "af0ifjsldkj"
    token = story.redeem(answer["code"]).json()["access_token"]
    assert claims_of(token)["auth_time"] == int(clock.time.timestamp())


def test_sign_in_when_another_account_signs_in(story, clock):
    page = follow(story, story.authorize(prompt="select_account"))
    clock.forward(seconds=5)
    question = sign_in(story, follow(story, press(story, page)), "bob")
    assert "<strong>bob</strong>" in question.content.decode()
    token = story.redeem(redirected(story.answer(question))["code"]).json()["access_token"]
    assert claims_of(token)["sub"] == f"user:{story.world.bob.pk}"


def test_sign_in_when_the_user_does_not_want_to(story):
    page = follow(story, story.authorize(prompt="login"))
    link = re.search(r'href="(https://web\.example\.com[^"]+)"', page.content.decode())[1]
    back = parse_qs(urlsplit(link.replace("&amp;", "&")).query)
    assert (back["error"], back["state"]) == (["login_required"], ["af0ifjsldkj"])


def test_sign_in_when_the_page_is_loaded_again(story):
    response = story.authorize(prompt="login")
    back = parse_qs(urlsplit(response["Location"]).query)["next"][0]
    for _ in range(3):
        assert "<h1>Sign in again</h1>" in story.browser.get(back).content.decode()
    assert PendingRequest.objects.count() == 1
    assert "_auth_user_id" in story.browser.session


def test_sign_out_when_the_handle_is_another_browsers(story, world):
    page = follow(story, story.authorize(prompt="login"))
    bob = Story(world, world.bob)
    assert press(bob, page).status_code == 400
    assert "_auth_user_id" in bob.browser.session
    for handle in ("x", "a" * 43):
        assert press(story, page, handle=handle).status_code == 400
    assert "_auth_user_id" in story.browser.session


def test_sign_out_when_pressed_twice(story, clock):
    page = follow(story, story.authorize(prompt="login"))
    press(story, page)
    clock.forward(seconds=5)
    question = sign_in(story, follow(story, press(story, page)))
    assert "code" in redirected(story.answer(question))


def test_page_when_shown(story, settings):
    response = story.authorize(prompt="login")
    back = parse_qs(urlsplit(response["Location"]).query)["next"][0]
    page = story.browser.get(back)
    assert "form-action 'self' https:;" in page["Content-Security-Policy"]
    assert page["X-Frame-Options"] == "DENY"
    assert page["Cache-Control"] == "no-store"
    settings.LOGIN_URL = "https://sso.example.com/login"
    assert press(story, page)["Location"].startswith("https://sso.example.com/login?next=")


def test_page_when_the_names_are_markup(story, world):
    world.alice.username = "<b>alice</b>"
    world.alice.save()
    page = follow(story, story.authorize(prompt="login"))
    assert escape("<b>alice</b>") in page.content.decode()
    assert "<b>alice" not in page.content.decode()
