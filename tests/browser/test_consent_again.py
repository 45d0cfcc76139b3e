"""Pages that lead back to a question: signed out, another account, a fresh sign-in, in Chromium."""

import pytest

from delegation_app.models import ConsentRecord, Delegation
from tests.browser.test_pages import lowest_contrast, overflows, picture, sign_in

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser"), pytest.mark.any_database]

LOOKS = [
    pytest.param(1280, "light", id="wide-light"),
    pytest.param(1280, "dark", id="wide-dark"),
    pytest.param(360, "light", id="narrow-light"),
]


def can_be_read(page, name):
    picture(page, name)
    assert not overflows(page)
    assert lowest_contrast(page) >= 4.5


def asked(site, page, **changes):
    page.goto(site.authorize_url(**changes))
    if page.get_by_label("Password").count():
        sign_in(page)
    page.get_by_role("button", name="Allow").wait_for()


def allowed(site, page):
    page.get_by_role("button", name="Allow").click()
    page.get_by_role("heading", name="Back in the app").wait_for()
    return site.app.answers[-1]


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_sign_in_when_the_login_page_sends_back_at_once_then_a_button_leads_through_it(
    site, visit, settings, width, scheme
):
    settings.ROOT_URLCONF = "tests.support.bouncing_urls"
    page = visit(viewport={"width": width, "height": 740}, color_scheme=scheme)
    asked(site, page)
    page.goto(site.authorize_url(prompt="login", state="again"))
    page.get_by_role("heading", name="Sign in again").wait_for()
    can_be_read(page, f"sign-in-again-{width}-{scheme}")
    page.get_by_role("button", name="Sign out and sign in again").click()
    sign_in(page)
    page.get_by_role("button", name="Allow").wait_for()
    assert allowed(site, page)["state"] == "again"


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_question_when_another_account_signed_in_in_another_tab_then_a_link_leads_to_it(
    site, visit, width, scheme
):
    page = visit(viewport={"width": width, "height": 740}, color_scheme=scheme, refused=True)
    asked(site, page, state="s" * 1600)
    other = page.context.new_page()
    other.goto(f"{site.url}/accounts/login/")
    sign_in(other, "bob")
    other.get_by_role("heading").first.wait_for()
    page.get_by_role("button", name="Allow").click()
    page.get_by_role("link", name="Show the page again").wait_for()
    can_be_read(page, f"question-lost-{width}-{scheme}")
    page.get_by_role("link", name="Show the page again").click()
    page.get_by_text("bob").first.wait_for()
    assert allowed(site, page)["state"] == "s" * 1600
    assert ConsentRecord.objects.get().user == site.world.bob


def test_allow_when_pressed_twice_then_the_app_gets_one_good_code(site, visit):
    page = visit(refused=True)
    asked(site, page)
    page.get_by_role("button", name="Allow").dblclick()
    page.get_by_role("heading", name="Back in the app").wait_for()
    assert len({answer["code"] for answer in site.app.answers}) == 1
    assert Delegation.objects.count() == 1


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_answer_when_the_code_is_used_then_a_page_says_what_stands(site, visit, width, scheme):
    page = visit(viewport={"width": width, "height": 740}, color_scheme=scheme, refused=True)
    asked(site, page)
    form = page.content()
    allowed(site, page)
    Delegation.objects.get().codes.update(consumed_at="2026-01-01T00:00:00Z")
    page.goto(f"{site.url}/connections/")
    # The page as a browser would show it that keeps what it was told not to keep
    page.route("**/kept", lambda route: route.fulfill(body=form, content_type="text/html"))
    page.goto(f"{site.url}/kept")
    page.get_by_role("button", name="Allow").click()
    page.get_by_role("heading", name="You have already answered").wait_for()
    can_be_read(page, f"answered-{width}-{scheme}")
