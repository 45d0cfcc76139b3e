"""A person looks at what apps may do for them and ends it, in Chromium."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from delegation_app.models import Delegation, DelegationBlock, ResourceServer
from delegation_app.protocol.constraints import Constraints
from tests.browser.conftest import sync_api
from tests.browser.test_pages import (
    is_focus_visible,
    lowest_contrast,
    overflows,
    picture,
    sign_in,
    tab_to,
)
from tests.support.world import SERVICE_C, VERIFIER, Story, delegation_of, redirected

# One worker: the live server, its database and the browser are shared
pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser"), pytest.mark.any_database]

LONG = "Metrics for all that you have ever measured, and for " + "Whatever" * 18 + "Really"

# Every field has a label, every page one heading of the first rank and one main landmark
PLAIN = """() => ({
  unlabelled: [...document.querySelectorAll('input:not([type=hidden]), select, textarea')]
    .filter(field => !field.labels.length).map(field => field.outerHTML),
  headings: document.querySelectorAll('h1').length,
  mains: document.querySelectorAll('main').length,
  namelessLandmarks: [...document.querySelectorAll('nav, section, form[role=search]')]
    .filter(mark => !mark.getAttribute('aria-label') && !mark.getAttribute('aria-labelledby'))
    .map(mark => mark.outerHTML),
  sameIds: [...document.querySelectorAll('[id]')].map(one => one.id)
    .filter((id, at, all) => all.indexOf(id) !== at),
  scripts: document.scripts.length,
})"""


def check(page, name):
    """What holds for each of these pages, and a picture of it."""
    page.wait_for_load_state("load")
    picture(page, name)
    assert page.evaluate(PLAIN) == {
        "unlabelled": [],
        "headings": 1,
        "mains": 1,
        "namelessLandmarks": [],
        "sameIds": [],
        "scripts": 0,
    }
    assert not overflows(page)
    assert lowest_contrast(page) >= 4.5


class Alice:
    """Her connections: Web, passed on twice; Other, unused; Mobile, ended."""

    def __init__(self, site, name="Metrics Web"):
        self.site, world = site, site.world
        world.web.row.refresh_from_db()
        world.mobile.row.refresh_from_db()
        self.story = Story(world, world.alice)
        world.web.row.name = name
        world.web.row.save()
        limits = [{"type": "max_depth", "depth": 3}]
        world.web.change(constraints=Constraints.parse(limits))
        world.mobile.row.refresh_from_db()
        self.story.revoke(self.tokens(world.mobile)["refresh_token"], world.mobile)
        self.other = delegation_of(self.tokens(world.other))
        long_ago = timezone.now() - timedelta(days=100)
        times = {"issued_at": long_ago, "last_used_at": long_ago, "expires_at": None}
        Delegation.objects.filter(pk=self.other.pk).update(**times)
        self.first = self.tokens(world.web, scopes=["read:metrics", "write:alerts"])
        self.second = self.exchanged(self.first)
        self.third = self.exchanged(self.second, world.service_b_client, audience=SERVICE_C)
        self.root, self.child, self.leaf = map(delegation_of, (self.first, self.second, self.third))

    def tokens(self, app, scopes=None):
        page = self.story.authorize(app, scope="read:metrics write:alerts read:profile")
        code = redirected(self.story.answer(page, scopes=scopes))["code"]
        form = {"grant_type": "authorization_code", "code": code, "code_verifier": VERIFIER}
        answer = self.story.post("/oauth/token", form, app)
        assert answer.status_code == 200, answer.content
        return answer.json()

    def exchanged(self, tokens, *app, **changes):
        answer = self.story.exchange(tokens["access_token"], *app, **changes)
        assert answer.status_code == 200, answer.content
        return answer.json()

    def at(self, row, deed=""):
        return f"{self.site.url}/connections/{row.public_id}{deed and '/'}{deed}"

    def signed_in(self, visit, path="/connections/", **options):
        page = visit(**options)
        page.goto(f"{self.site.url}{path}")
        sign_in(page)
        page.get_by_role("heading", name="Connections").wait_for()
        return page


@pytest.fixture
def alice(site):
    return Alice(site)


@pytest.fixture(params=["scripts", "no scripts"])
def page(request, alice, visit):
    """The list, in a browser with JavaScript and in one without."""
    return alice.signed_in(visit, java_script_enabled=request.param == "scripts")


def says(page, text):
    sync_api.expect(page.get_by_role("status")).to_contain_text(text)


def test_alice_when_she_comes_from_the_home_page_then_she_finds_what_she_looks_for(alice, page):
    page.goto(f"{alice.site.url}/")
    page.get_by_role("link", name=re.compile("^Connections")).click()
    apps = page.get_by_role("heading", level=2)
    sync_api.expect(apps).to_contain_text(["Metrics Web", "Other"])
    page.get_by_label("Show").select_option("not used for 90 days")
    page.get_by_role("button", name="Show").click()
    sync_api.expect(apps.first).to_have_text("Other")
    page.get_by_label("Show").select_option("all, including ended")
    page.get_by_label("App").select_option("Mobile")
    page.get_by_role("button", name="Show").click()
    sync_api.expect(apps.first).to_have_text("Mobile")
    sync_api.expect(page.get_by_text("ended", exact=True)).to_be_visible()


def test_alice_when_an_app_may_do_too_much_then_she_takes_some_of_it_away(alice, page):
    page.get_by_role("link", name="Metrics Web").click()
    sentence = page.locator(".sentence")
    sync_api.expect(sentence).to_contain_text("Metrics Web acts for you at Service A")
    page.get_by_role("link", name="Reduce access").click()
    page.get_by_label(re.compile("Create alerts")).uncheck()
    page.get_by_label("Ends in").select_option("one week")
    page.get_by_role("button", name="Reduce access").click()
    says(page, "Metrics Web has less access now")
    fresh = alice.story.refresh(alice.first["refresh_token"])
    assert (fresh.status_code, fresh.json()["scope"]) == (200, "read:metrics")


def test_alice_when_a_service_shall_not_have_it_then_she_ends_that_part(alice, page):
    page.get_by_role("link", name="Metrics Web").click()
    page.locator(".tree").get_by_role("link", name="Service-A").click()
    sync_api.expect(page.locator(".sentence")).to_contain_text("passed on by Metrics Web.")
    page.get_by_role("link", name="End it").click()
    page.get_by_role("button", name="End it").click()
    says(page, "You ended this connection. Service-A")
    assert alice.story.is_active(alice.first["access_token"])
    assert DelegationBlock.objects.get().delegation == alice.child


def test_alice_when_her_phone_is_lost_then_she_ends_everything(alice, page):
    page.get_by_role("link", name="End all connections", exact=True).click()
    sync_api.expect(page.get_by_text("2 connections", exact=True)).to_be_visible()
    page.get_by_label("Reason").fill("lost my phone")
    page.get_by_role("button", name="End all connections", exact=True).click()
    says(page, "The connections have ended")
    assert not Delegation.objects.filter(revoked_at=None).exists()
    # Neither a reload nor the button for back does it again
    page.reload()
    sync_api.expect(page.get_by_role("status")).to_have_count(0)
    page.go_back()
    assert Delegation.objects.filter(revocation_reason="lost my phone").count() == 4


def test_keyboard_when_it_is_all_there_is_then_a_connection_can_be_ended(alice, visit):
    page = alice.signed_in(visit)
    for name, address in (("Metrics Web", ""), ("End it", "end")):
        tab_to(page, name)
        assert is_focus_visible(page)
        page.keyboard.press("Enter")
        page.wait_for_url(alice.at(alice.root, address))
    tab_to(page, "Reason (optional)")
    page.keyboard.type("not used any more")
    tab_to(page, "End it")
    assert is_focus_visible(page)
    page.keyboard.press("Enter")
    page.get_by_role("status").wait_for()
    ended = Delegation.objects.get(pk=alice.root.pk)
    assert ended.revoked_at is not None
    assert ended.revocation_reason == "not used any more"


def test_day_when_it_is_chosen_then_the_browser_keeps_it_within_bounds(alice, visit):
    page = alice.signed_in(visit)
    page.goto(alice.at(alice.root, "narrow"))
    field = page.get_by_label("or at the end of")
    field.fill((timezone.now() + timedelta(days=4000)).date().isoformat())
    page.get_by_role("button", name="Reduce access").click()
    assert field.evaluate("field => field.validity.rangeOverflow")
    assert page.url == alice.at(alice.root, "narrow")
    field.fill((timezone.now() + timedelta(days=4)).date().isoformat())
    page.get_by_role("button", name="Reduce access").click()
    page.get_by_role("status").wait_for()
    ends = Delegation.objects.get(pk=alice.root.pk).expires_at
    assert ends < timezone.now() + timedelta(days=5)


@pytest.mark.parametrize("width", [320, 360, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_when_small_or_dark_then_nothing_is_cut_and_text_can_be_read(
    alice, visit, width, scheme
):
    viewport = {"width": width, "height": 740}
    page = alice.signed_in(visit, viewport=viewport, color_scheme=scheme, refused=True)
    tail = f"{width}-{scheme}"
    check(page, f"connections-list-{tail}")
    for row, name in ((alice.root, "root"), (alice.leaf, "leaf")):
        for deed in ("", "narrow", "end"):
            page.goto(alice.at(row, deed))
            check(page, f"connections-{name}{deed and '-'}{deed}-{tail}")
    page.goto(alice.at(alice.root, "narrow"))
    page.get_by_role("button", name="Reduce access").click()
    page.get_by_role("alert").wait_for()
    check(page, f"connections-refused-{tail}")
    page.goto(f"{alice.site.url}/connections/end")
    check(page, f"connections-everything-{tail}")
    page.get_by_role("button", name="End all connections", exact=True).click()
    page.get_by_role("status").wait_for()
    check(page, f"connections-none-{tail}")
    page.goto(f"{alice.site.url}/connections/?show=all")
    check(page, f"connections-ended-{tail}")
    page.goto(alice.at(alice.root))
    check(page, f"connections-ended-root-{tail}")


@pytest.mark.parametrize("width", [360, 1280])
def test_names_when_they_are_200_letters_long_then_no_page_breaks(site, visit, width):
    assert len(LONG) > 200
    alice = Alice(site, LONG[:200])
    ResourceServer.objects.filter(pk=site.world.service_a.pk).update(name="Service " + "A" * 200)
    page = alice.signed_in(visit, viewport={"width": width, "height": 740})
    check(page, f"connections-long-list-{width}")
    for deed in ("", "narrow", "end"):
        page.goto(alice.at(alice.root, deed))
        check(page, f"connections-long{deed and '-'}{deed}-{width}")
    page.goto(f"{site.url}/connections/?app=web")
    check(page, f"connections-long-app-{width}")
    page.goto(f"{site.url}/connections/end?app=web")
    check(page, f"connections-long-everything-{width}")
