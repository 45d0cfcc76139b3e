"""The pages as a person meets them, in Chromium."""

import os
import re
from pathlib import Path

import pytest

from delegation_app.models import ConsentRecord, Delegation
from tests.browser.conftest import sync_api
from tests.support.world import PASSWORD, VERIFIER, Story

# One worker: the live server, its database and the browser are shared
pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser"), pytest.mark.any_database]

# PAGES_DIR keeps pictures of the pages, for whoever changes them
PICTURES = os.environ.get("PAGES_DIR")


def picture(page, name):
    if PICTURES:
        page.screenshot(path=str(Path(PICTURES) / f"{name}.png"), full_page=True)


def sign_in(page, username="alice", password=PASSWORD):
    page.get_by_label("User name").fill(username)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def type_into_focused(page, label, text):
    sync_api.expect(page.get_by_label(label)).to_be_focused()
    page.keyboard.type(text)


def asked(page, client):
    """Wait for the consent page, and for its style: a heading can be there before it."""
    page.get_by_role("heading", name=f"Let {client} act for you?").wait_for()
    page.wait_for_load_state("load")


def in_app(page, site):
    """Wait for the app's own page, and return the last answer that came to it."""
    page.get_by_role("heading", name="Back in the app").wait_for()
    assert page.url.startswith(site.app.uri + "?")
    return site.app.answers[-1]


def overflows(page):
    """Whether there is something to scroll to at the side."""
    return page.evaluate(
        "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    )


def test_person_when_unticking_a_scope_and_allowing_then_the_app_gets_the_rest(site, visit):
    page = visit()
    page.goto(site.authorize_url())
    picture(page, "login")
    sign_in(page)
    asked(page, "Web")
    page.get_by_label(re.compile("Create alerts")).uncheck()
    picture(page, "consent-unticked")
    page.get_by_role("button", name="Allow").click()
    answer = in_app(page, site)
    assert set(answer) == {"code", "state", "iss"}
    assert (answer["state"], answer["iss"]) == ("af0ifjsldkj", site.url)
    tokens = Story(site.world).post(
        "/oauth/token",
        {
            "grant_type": "authorization_code",
            "code": answer["code"],
            "code_verifier": VERIFIER,
        },
        site.world.web,
    )
    assert tokens.json()["scope"] == "read:metrics read:profile"


def test_person_when_denying_then_the_app_is_told_and_holds_nothing(site, visit):
    page = visit()
    page.goto(site.authorize_url())
    sign_in(page)
    page.get_by_role("button", name="Deny").click()
    answer = in_app(page, site)
    assert answer["error"] == "access_denied"
    assert answer["state"] == "af0ifjsldkj"
    assert not Delegation.objects.exists()


def test_app_when_it_asks_again_then_no_page_is_between_and_no_address_is_told(site, visit):
    page = visit()
    page.goto(site.authorize_url())
    sign_in(page)
    page.get_by_role("button", name="Allow").click()
    in_app(page, site)
    page.goto(site.authorize_url(state="second"))
    assert in_app(page, site)["state"] == "second"
    assert ConsentRecord.objects.count() == 1
    # Neither the form nor the redirect tells the app which page it came from
    callbacks = [asked for asked in site.app.requests if asked[0].startswith("/callback?")]
    assert [referrer for _, referrer in callbacks] == [None, None]


def test_app_when_a_signed_out_person_comes_back_then_signing_in_leads_straight_to_it(site, visit):
    page = visit()
    page.goto(site.authorize_url())
    sign_in(page)
    page.get_by_role("button", name="Allow").click()
    in_app(page, site)
    again = visit()
    again.goto(site.authorize_url(state="later"))
    # One POST of the login form, two redirects: the policy of the login page must allow them
    sign_in(again)
    assert in_app(again, site)["state"] == "later"
    assert Delegation.objects.count() == 2


def test_person_when_the_password_is_wrong_then_they_are_told_and_can_try_again(site, visit):
    page = visit()
    page.goto(site.authorize_url())
    sign_in(page, password="wrong")
    page.get_by_role("alert").wait_for()
    picture(page, "login-failed")
    assert page.get_by_label("User name").input_value() == "alice"
    assert page.get_by_label("Password").input_value() == ""
    sign_in(page)
    page.get_by_role("button", name="Allow").click()
    assert "code" in in_app(page, site)


def test_back_button_when_pressed_after_answering_then_nothing_is_answered_twice(site, visit):
    page = visit()
    page.goto(site.authorize_url())
    sign_in(page)
    page.get_by_role("button", name="Allow").click()
    in_app(page, site)
    page.go_back()
    # The page is never stored, so the browser asks again: the consent covers it by now
    in_app(page, site)
    assert len(site.app.answers) == 2
    assert ConsentRecord.objects.count() == 1


def is_focus_visible(page):
    style, width = page.evaluate(
        "() => { const style = getComputedStyle(document.activeElement);"
        " return [style.outlineStyle, parseFloat(style.outlineWidth)]; }"
    )
    return style != "none" and width >= 2


def test_keyboard_when_it_is_all_there_is_then_the_whole_way_can_be_gone(site, visit):
    page = visit()
    page.goto(site.authorize_url())
    # The first field has the focus by itself
    type_into_focused(page, "User name", "alice")
    page.keyboard.press("Tab")
    type_into_focused(page, "Password", PASSWORD)
    page.keyboard.press("Enter")
    asked(page, "Web")
    boxes = page.get_by_role("checkbox")
    assert boxes.count() == 3
    for number in range(3):
        page.keyboard.press("Tab")
        assert boxes.nth(number).evaluate("box => box === document.activeElement")
    page.keyboard.press("Space")
    assert not boxes.nth(2).is_checked()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.name") == "lifetime"
    page.keyboard.press("Tab")
    assert is_focus_visible(page)
    names = {page.evaluate("document.activeElement.value")}
    page.keyboard.press("Tab")
    names.add(page.evaluate("document.activeElement.value"))
    assert names == {"allow", "deny"}
    page.get_by_role("button", name="Allow").focus()
    page.keyboard.press("Enter")
    assert "code" in in_app(page, site)
    assert str(Delegation.objects.get().scopes) == "read:metrics read:profile"


def tab_to(page, name):
    """Press Tab until a button or field of that name has the focus."""
    for _step in range(80):
        page.keyboard.press("Tab")
        if page.evaluate(NAME_OF_FOCUSED) == name:
            return
    pytest.fail(f"no way to {name}")


NAME_OF_FOCUSED = """() => {
  const one = document.activeElement;
  return (one.labels && one.labels.length ? one.labels[0] : one).textContent.trim() || one.value;
}"""


def test_keyboard_when_tab_and_enter_are_all_there_is_then_a_person_can_deny(site, visit):
    page = visit()
    page.goto(site.authorize_url())
    sign_in(page)
    asked(page, "Web")
    tab_to(page, "Deny")
    assert is_focus_visible(page)
    page.keyboard.press("Enter")
    assert in_app(page, site)["error"] == "access_denied"
    assert not Delegation.objects.exists()


def test_enter_when_pressed_on_a_checkbox_then_nothing_is_allowed_by_accident(site, visit):
    page = visit()
    page.goto(site.authorize_url())
    sign_in(page)
    page.get_by_role("checkbox").first.focus()
    page.keyboard.press("Enter")
    assert in_app(page, site)["error"] == "access_denied"
    assert not Delegation.objects.exists()


@pytest.mark.parametrize("width", [320, 360, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_when_small_or_dark_then_nothing_is_cut_and_text_can_be_read(
    site, visit, width, scheme
):
    page = visit(viewport={"width": width, "height": 740}, color_scheme=scheme)
    page.goto(site.authorize_url(client_id="mobile", prompt="login"))
    picture(page, f"login-{width}-{scheme}")
    assert not overflows(page)
    assert lowest_contrast(page) >= 4.5
    sign_in(page)
    asked(page, "Mobile")
    picture(page, f"consent-{width}-{scheme}")
    assert not overflows(page)
    assert lowest_contrast(page) >= 4.5


@pytest.mark.parametrize("width", [320, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_error_page_when_shown_then_it_can_be_read_and_leads_nowhere(site, visit, width, scheme):
    page = visit(refused=True, viewport={"width": width, "height": 740}, color_scheme=scheme)
    answer = page.goto(site.authorize_url(redirect_uri="https://evil.example/" + "x" * 200))
    assert answer.status == 400
    picture(page, f"error-{width}-{scheme}")
    assert page.get_by_role("alert").is_visible()
    assert page.get_by_role("link").count() == 0
    assert not overflows(page)
    assert lowest_contrast(page) >= 4.5


CONTRAST = """() => {
  const rgb = text => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => {
    const part = [r, g, b].map(v => v / 255)
      .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * part[0] + 0.7152 * part[1] + 0.0722 * part[2];
  };
  const ground = element => {
    for (let at = element; at; at = at.parentElement) {
      const colour = rgb(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  let lowest = 21;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    if (!walker.currentNode.data.trim()) continue;
    const element = walker.currentNode.parentElement;
    const pair = [light(rgb(getComputedStyle(element).color)), light(ground(element))];
    const ratio = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
    lowest = Math.min(lowest, ratio);
  }
  return lowest;
}"""


def lowest_contrast(page):
    """The lowest contrast of any text with what is behind it (WCAG 2.2, 1.4.3)."""
    return page.evaluate(CONTRAST)
