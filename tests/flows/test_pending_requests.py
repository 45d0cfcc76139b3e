"""The authorization request while its user signs in: kept on the server, for one browser."""

from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from django.utils import timezone

from delegation_app.models import PendingRequest
from delegation_app.services.consent import pending_requests
from tests.support.world import PASSWORD, REDIRECT_URI, Story, redirected

AUTHORIZE = "/oauth/authorize"
LOGIN = "/accounts/login/"


@pytest.fixture
def anonymous(world):
    return Story(world)


def next_of(response):
    assert response.status_code == 302, response.content
    return parse_qs(urlsplit(response["Location"]).query)["next"][0]


def sign_in(story, response, username="alice"):
    """Sign in on the page to which a response leads, and go where that leads."""
    form = story.browser.get(response["Location"])
    fields = {"username": username, "password": PASSWORD, "next": form.context["next"]}
    return story.browser.get(story.browser.post(LOGIN, fields)["Location"])


def is_question(page):
    return page.status_code == 200 and b'name="decision" value="allow"' in page.content


@pytest.mark.parametrize(
    "state",
    ["s" * 1600, "s" * 2048, "%" * 2048, "é" * 1000, "a b&c=d;e#f?g/h", "\n\t\"'<>"],
    ids=["1600", "2048", "escaped", "not ASCII", "reserved", "markup"],
)
@pytest.mark.parametrize("prompt", [None, "login"])
def test_request_when_its_state_is_long_or_odd(anonymous, state, prompt):
    to_login = anonymous.authorize(state=state, prompt=prompt)
    assert len(next_of(to_login)) < 400
    question = sign_in(anonymous, to_login)
    answer = redirected(anonymous.answer(question))
    assert answer["state"] == state
    assert anonymous.redeem(answer["code"]).status_code == 200


def test_request_when_it_is_wrong(anonymous):
    answer = sign_in(anonymous, anonymous.authorize(state="s" * 2048, scope="no:such"))
    assert redirected(answer)["error"] == "invalid_scope"
    assert redirected(answer)["state"] == "s" * 2048


def test_request_when_it_was_sent_twice(anonymous):
    first, second = (anonymous.authorize(state=one, prompt="consent") for one in ("one", "two"))
    assert redirected(anonymous.answer(sign_in(anonymous, second)))["state"] == "two"
    question = anonymous.browser.get(next_of(first))
    assert redirected(anonymous.answer(question, scopes=["read:metrics"]))["state"] == "one"


@pytest.mark.parametrize("prompt", ["login", "select_account"])
@pytest.mark.parametrize("username", ["alice", "bob"])
def test_request_when_the_session_changes_hands(world, clock, prompt, username):
    story = Story(world, world.alice)
    clock.forward(seconds=5)
    to_login = story.authorize(prompt=prompt, state="s" * 2048)
    clock.forward(seconds=5)
    question = sign_in(story, to_login, username)
    assert f"<strong>{username}</strong>" in question.content.decode()
    assert redirected(story.answer(question))["state"] == "s" * 2048


def test_request_when_the_sign_in_takes_an_hour(anonymous, clock):
    to_login = anonymous.authorize(prompt="login")
    clock.forward(minutes=60)
    assert is_question(sign_in(anonymous, to_login))


def test_request_when_it_is_too_old(anonymous, clock):
    to_login = anonymous.authorize()
    clock.forward(minutes=70)
    page = sign_in(anonymous, to_login)
    assert page.status_code == 400
    assert "Start again in the app" in page.content.decode()


# For one browser


def test_request_when_another_browser_resumes_it(anonymous, world):
    back = next_of(anonymous.authorize())
    for thief in (Story(world, world.bob), Story(world)):
        page = thief.browser.get(back)
        assert page.status_code == 400
        thief.authorize()
        # One with a cookie of its own too
        assert thief.browser.get(back).status_code == 400
    assert is_question(sign_in(anonymous, anonymous.browser.get(back)))


@pytest.mark.parametrize("handle", ["x", "a" * 43, "", "é", "../x", "a" * 5000])
def test_handle_when_made_up(anonymous, handle):
    anonymous.authorize()
    page = anonymous.browser.get(AUTHORIZE, {"resume": handle})
    assert page.status_code == 400
    assert "Location" not in page


def test_handle_when_sent_twice(anonymous):
    handle = parse_qs(urlsplit(next_of(anonymous.authorize())).query)["resume"][0]
    assert anonymous.authorize_raw(f"resume={handle}&resume={handle}").status_code == 400


def test_handle_when_it_comes_with_a_request(story):
    handle = "a" * 43
    page = story.authorize(resume=handle, state="mine")
    assert redirected(story.answer(page))["state"] == "mine"


def test_handle_when_other_parameters_come_with_it(anonymous):
    back = next_of(anonymous.authorize())
    changed = urlencode({"redirect_uri": "https://evil.example/", "scope": "x", "state": "evil"})
    page = sign_in(anonymous, anonymous.browser.get(f"{back}&{changed}"))
    response = anonymous.answer(page)
    assert response["Location"].startswith(f"{REDIRECT_URI}?code=")
    assert redirected(response)["state"] == "af0ifjsldkj"


def test_cookie_when_set(anonymous):
    anonymous.authorize()
    cookie = anonymous.browser.cookies["delegation_browser"]
    assert (cookie["httponly"], cookie["secure"], cookie["samesite"]) == (True, True, "Lax")
    assert (cookie["path"], cookie["domain"], cookie["max-age"]) == ("/", "", 4200)
    value = cookie.value
    anonymous.authorize()
    assert anonymous.browser.cookies["delegation_browser"].value == value


@pytest.mark.parametrize("sent", ["x", "a" * 42, "a" * 44, "a" * 42 + "é", "'; DROP TABLE"])
def test_cookie_when_it_is_none_of_ours(anonymous, sent):
    anonymous.browser.cookies["delegation_browser"] = sent
    assert is_question(sign_in(anonymous, anonymous.authorize()))
    assert anonymous.browser.cookies["delegation_browser"].value != sent


def test_table_when_read(anonymous):
    back = next_of(anonymous.authorize())
    handle = parse_qs(urlsplit(back).query)["resume"][0]
    row = str(PendingRequest.objects.values().get())
    assert handle not in row
    assert anonymous.browser.cookies["delegation_browser"].value not in row


# Bounded


def test_rows_when_the_request_proves_no_client(anonymous):
    for changes in ({"client_id": "nope"}, {"redirect_uri": "https://evil.example/"}):
        anonymous.authorize(**changes)
    anonymous.authorize(prompt="none")
    anonymous.browser.get(AUTHORIZE, {"resume": "a" * 43})
    assert not PendingRequest.objects.exists()
    assert "delegation_browser" not in anonymous.browser.cookies


def test_rows_when_browsers_without_cookies_ask(world, monkeypatch):
    monkeypatch.setattr(pending_requests, "_PER_NETWORK", 3)
    for _ in range(6):
        Story(world).authorize()
    assert PendingRequest.objects.count() == 3
    # The request then travels through the login page
    story = Story(world)
    question = sign_in(story, story.authorize(prompt="login"))
    assert redirected(story.answer(question))["state"] == "af0ifjsldkj"
    # Those who are signed in are counted for themselves
    assert PendingRequest.objects.exclude(subject="").count() == 1
    assert is_question(Story(world, world.bob).authorize())


def test_rows_when_there_are_too_many_and_the_request_is_long(world, monkeypatch):
    monkeypatch.setattr(pending_requests, "_PER_CLIENT", 0)
    page = Story(world).authorize(state="s" * 2048)
    assert page.status_code == 400
    assert "Sign in first" in page.content.decode()
    # Signed in, it is not kept for anybody
    assert is_question(Story(world, world.alice).authorize(state="s" * 2048))


@pytest.mark.parametrize(
    ("addresses", "rows"),
    [
        (["192.0.2.1"] * 4, 2),
        (["192.0.2.1", "192.0.2.2"] * 2, 4),
        (["2001:db8::1", "2001:db8::2", "2001:db8:0:0:ffff::1", "2001:db8::4"], 2),
        (["2001:db8:0:1::1", "2001:db8:0:2::1", "2001:db8:0:3::1"], 3),
        (["::ffff:192.0.2.1", "192.0.2.1", "192.0.2.1"], 2),
        ([""] * 4, 4),
    ],
    ids=["one", "two", "one subscriber", "three subscribers", "mapped", "unknown"],
)
def test_rows_when_counted_by_network(world, monkeypatch, addresses, rows):
    monkeypatch.setattr(pending_requests, "_PER_NETWORK", 2)
    for address in addresses:
        story = Story(world)
        story.browser.defaults["REMOTE_ADDR"] = address
        story.authorize()
    assert PendingRequest.objects.count() == rows


def test_rows_when_their_time_is_over(world, clock):
    for _ in range(5):
        Story(world).authorize()
    Story(world, world.alice).authorize()
    clock.forward(minutes=70, seconds=1)
    Story(world).authorize()
    assert PendingRequest.objects.count() == 1
    assert PendingRequest.objects.get().expires_at > timezone.now()


def test_rows_when_a_user_opens_page_after_page(world):
    story = Story(world, world.alice)
    for _ in range(20):
        story.authorize()
        story.enter(story.start().json()["user_code"])
    assert PendingRequest.objects.filter(kind="consent").count() == 8
    assert PendingRequest.objects.filter(kind="device").count() == 8


def test_row_when_its_user_has_signed_in(anonymous):
    sign_in(anonymous, anonymous.authorize())
    assert not PendingRequest.objects.filter(subject="").exists()


# Other pages that lead through the login page


def test_connections_when_the_address_is_too_long_for_the_login_page(anonymous):
    to_login = anonymous.browser.get("/connections/", {"app": "x" * 3000})
    assert next_of(to_login) == "/connections/"
    assert next_of(anonymous.browser.get("/connections/?app=x")) == "/connections/?app=x"


def test_device_when_nobody_is_signed_in(anonymous):
    code = anonymous.start().json()["user_code"]
    long = {"user_code": code, "x": "x" * 3000}
    assert (
        next_of(anonymous.browser.get("/oauth/device", long)) == f"/oauth/device?user_code={code}"
    )
    assert next_of(anonymous.enter(code)) == f"/oauth/device?user_code={code}"
    assert next_of(anonymous.browser.get("/oauth/device?user_code=none")) == "/oauth/device"
