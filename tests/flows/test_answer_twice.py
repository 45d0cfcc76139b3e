"""Answers that come twice, late, or from a browser in which something has changed meanwhile."""

import html
import re
from urllib.parse import urlencode

import pytest

from delegation_app.models import AuditEvent, ConsentRecord, Delegation
from delegation_app.services import audit
from delegation_app.services.delegations import revocation
from tests.support import SecureClient
from tests.support.world import FORM, PASSWORD, Story, filled_in, redirected

AUTHORIZE = "/oauth/authorize"
LOGIN = "/accounts/login/"


def way_back(page):
    """The link that leads back to the question."""
    links = re.findall(r'href="(/oauth/authorize\?[^"]+)"', page.content.decode())
    return html.unescape(links[0])


def is_question(page):
    return page.status_code in {200, 400} and b'name="decision" value="allow"' in page.content


def sign_in(story, username="alice"):
    story.browser.post(LOGIN, {"username": username, "password": PASSWORD})


# Twice


@pytest.mark.parametrize("app", ["web", "mobile"])
def test_allow_when_pressed_twice(story, app):
    app = getattr(story.world, app)
    page = story.authorize(app)
    first, second, third = (story.answer(page) for _ in range(3))
    assert first["Location"] == second["Location"] == third["Location"]
    assert ConsentRecord.objects.count() == Delegation.objects.count() == 1
    events = AuditEvent.objects.order_by("pk").values_list("event", flat=True)
    assert list(events) == ["consent.granted", "delegation.created", "code.issued"]
    assert story.redeem(redirected(second)["code"], app).status_code == 200


def test_allow_when_the_secret_of_the_site_changed_in_between(story, settings):
    page = story.authorize()
    first = story.answer(page)
    settings.DELEGATION = {
        **settings.DELEGATION,
        "KEY_ENCRYPTION_KEY": ("a new secret, long enough for anybody", settings.SECRET_KEY),
    }
    assert story.answer(page)["Location"] == first["Location"]


@pytest.mark.parametrize("how", ["redeemed", "expired", "revoked"])
def test_allow_when_the_code_is_of_no_use_any_more(story, clock, how):
    story.browser.force_login(story.world.alice)
    page = story.authorize()
    code = redirected(story.answer(page))["code"]
    tokens = story.redeem(code).json() if how == "redeemed" else None
    if how == "expired":
        clock.forward(seconds=61)
    elif how == "revoked":
        revocation.subtree(
            Delegation.objects.get(), audit.RequestContext("user:9"), reason="enough"
        )
    again = story.answer(page)
    assert (again.status_code, again.get("Location")) == (400, None)
    assert "You have already answered" in again.content.decode()
    assert Delegation.objects.count() == 1
    # The code was not sent a second time, so nothing was replayed
    if tokens:
        assert story.is_active(tokens["access_token"])
    back = story.browser.get(way_back(again))
    assert is_question(back) if how == "revoked" else "code" in redirected(back)


def test_second_answer_when_it_allows_less(story):
    page = story.authorize()
    story.answer(page)
    less = story.answer(page, scopes=["read:metrics"])
    assert "Location" not in less
    shorter = story.answer(page, lifetime="3600")
    assert "Location" not in shorter
    assert str(ConsentRecord.objects.get().scopes_granted) == "read:metrics write:alerts"


def test_second_answer_when_it_allows_more(story):
    page = story.authorize()
    first = story.answer(page, scopes=["read:metrics"], lifetime="3600")
    assert story.answer(page)["Location"] == first["Location"]
    assert str(ConsentRecord.objects.get().scopes_granted) == "read:metrics"


def test_second_answer_when_the_first_was_a_denial(story):
    page = story.authorize()
    story.answer(page, decision="deny")
    again = story.answer(page)
    assert "You denied access to" in again.content.decode()
    question = story.browser.get(way_back(again))
    assert is_question(question)
    assert redirected(story.answer(question))["state"] == "af0ifjsldkj"


def test_answer_when_it_waits_for_an_operator_and_is_sent_twice(story, settings):
    settings.DELEGATION = {**settings.DELEGATION, "SCOPE_RISKS": {"write:alerts": "high"}}
    story.world.web.change(confirm_risky=True)
    page = story.authorize()
    for _ in range(2):
        answered = story.answer(page)
        assert answered.status_code == 200
        assert "Pending approval by an operator" in answered.content.decode()
    assert ConsentRecord.objects.count() == 1


def test_first_answer_when_it_is_another_users(story):
    page = story.authorize()
    first = story.answer(page)
    sign_in(story, "bob")
    again = story.answer(page)
    assert again.status_code == 400
    assert redirected(first)["code"] not in again.content.decode()


def test_page_when_an_incomplete_answer_was_sent(story):
    story.world.web.change(required_scopes="read:metrics")
    page = story.authorize()
    newer = story.answer(page, scopes=["write:alerts"])
    refused = story.answer(page)
    assert (refused.status_code, ConsentRecord.objects.count()) == (400, 0)
    assert is_question(story.browser.get(way_back(refused)))
    assert "code" in redirected(story.answer(newer))


def test_page_when_it_was_open_for_too_long(story, clock):
    page = story.authorize()
    clock.forward(seconds=601)
    for decision in ("allow", "deny"):
        again = story.answer(page, decision=decision)
        assert again.status_code == 400
        assert is_question(again)
        assert "open for a long time" in again.content.decode()
        assert not ConsentRecord.objects.exists()
        page = again
        clock.forward(seconds=601)
    page = story.answer(page)
    assert redirected(story.answer(page))["state"] == "af0ifjsldkj"


# Another user, or none


def test_answer_when_another_account_signed_in(story):
    page = story.authorize()
    sign_in(story, "bob")
    refused = story.answer(page)
    assert refused.status_code == 400
    assert not ConsentRecord.objects.exists()
    question = story.browser.get(way_back(refused))
    assert "<strong>bob</strong>" in question.content.decode()
    assert redirected(story.answer(question))["state"] == "af0ifjsldkj"
    assert ConsentRecord.objects.get().user == story.world.bob


def test_answer_when_the_user_signed_out(story):
    page = story.authorize(state="s" * 1600)
    story.browser.post("/accounts/logout/")
    refused = story.answer(page)
    assert refused.status_code == 400
    assert "You are signed out" in refused.content.decode()
    login = story.browser.get(way_back(refused))
    assert login["Location"].startswith("/accounts/login/?next=")
    form = story.browser.get(login["Location"])
    fields = {"username": "alice", "password": PASSWORD, "next": form.context["next"]}
    question = story.browser.get(story.browser.post(LOGIN, fields)["Location"])
    assert redirected(story.answer(question))["state"] == "s" * 1600


@pytest.mark.parametrize("fresh", [False, True])
def test_way_back_when_the_app_wants_a_fresh_sign_in(world, clock, fresh):
    story = Story(world, world.alice)
    clock.forward(seconds=5)
    form = story.browser.get(story.authorize(prompt="login")["Location"])
    clock.forward(seconds=5)
    fields = {"username": "alice", "password": PASSWORD, "next": form.context["next"]}
    page = story.browser.get(story.browser.post(LOGIN, fields)["Location"])
    assert is_question(page)
    clock.forward(seconds=5)
    sign_in(story, "bob")
    if not fresh:
        # As a site does that lets its staff act as another user: no sign-in of theirs
        session = story.browser.session
        session["delegation_auth_time"] -= 3600
        session.save()
    back = story.browser.get(way_back(story.answer(page)))
    assert is_question(back) is fresh


def strict(world):
    story = Story(world)
    story.browser = SecureClient(enforce_csrf_checks=True)
    story.browser.force_login(world.alice)
    return story


@pytest.mark.parametrize("token", [True, False])
def test_answer_when_its_csrf_token_is_from_before_a_sign_in(world, token):
    story = strict(world)
    page = story.authorize()
    old = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.content.decode())[1]
    form = story.browser.get(LOGIN)
    fields = {
        "username": "alice",
        "password": PASSWORD,
        "csrfmiddlewaretoken": form.context["csrf_token"],
    }
    story.browser.post(LOGIN, fields, HTTP_ORIGIN="https://testserver")
    fields = filled_in(page, csrfmiddlewaretoken=old) if token else filled_in(page)
    body = urlencode(fields, doseq=True)
    refused = story.browser.post(
        AUTHORIZE, body, content_type=FORM, HTTP_ORIGIN="https://testserver"
    )
    assert refused.status_code == 403
    assert "is no longer valid" in refused.content.decode()
    assert "frame-ancestors 'none'" in refused["Content-Security-Policy"]
    assert is_question(story.browser.get(way_back(refused)))
    assert not ConsentRecord.objects.exists()


@pytest.mark.parametrize("body", [b"", b"handle=x", b"handle=x&handle=y", b"handle=%00", b"%ff"])
def test_csrf_page_when_the_form_has_no_handle_of_this_browser(world, body):
    story = strict(world)
    story.authorize()
    refused = story.browser.post(AUTHORIZE, body, content_type=FORM)
    assert refused.status_code == 403
    assert b"/oauth/authorize?" not in refused.content


def test_device_form_when_its_csrf_token_is_old(world):
    story = strict(world)
    refused = story.browser.post("/oauth/device", b"user_code=x", content_type=FORM)
    assert refused.status_code == 403
    assert 'href="/oauth/device"' in refused.content.decode()


# Many pages, two tabs, back


@pytest.fixture
def cookie_sessions(world, settings):
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
    story = Story(world)
    sign_in(story)
    return story


def test_questions_when_sessions_live_in_a_cookie(cookie_sessions):
    story = cookie_sessions
    pages = [story.authorize(state=f"{n}" * 2000, prompt="consent") for n in range(8)]
    sizes = {name: len(cookie.OutputString()) for name, cookie in story.browser.cookies.items()}
    assert sum(sizes.values()) < 1500, sizes
    for n, page in enumerate(pages):
        assert redirected(story.answer(page))["state"] == f"{n}" * 2000


def test_session_when_a_question_is_shown_and_answered(story):
    before = dict(story.browser.session.items())
    story.answer(story.authorize())
    assert dict(story.browser.session.items()) == before
