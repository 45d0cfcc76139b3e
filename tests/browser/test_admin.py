"""The console as an operator meets it at night, in Chromium."""

import re

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission

from delegation_app.models import Delegation, DelegationBlock
from delegation_app.protocol.constraints import Constraints
from delegation_app.services import limits
from delegation_app.services.delegations import bulk
from tests.browser.conftest import sync_api
from tests.browser.test_pages import overflows, picture, tab_to
from tests.support.world import PASSWORD, SERVICE_C, VERIFIER, Story, delegation_of, redirected

# One worker: the live server, its database and the browser are shared
pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser"), pytest.mark.any_database]

NARROW, WIDE = {"width": 390, "height": 844}, {"width": 1280, "height": 800}


class Trees:
    """Two trees of three levels: Web of alice and Web of bob, passed on by A and by B."""

    def __init__(self, site):
        self.site = site
        world = site.world
        # The site gave it another redirect URI
        world.web.row.refresh_from_db()
        self.alices = self._grown(Story(world, world.alice))
        self.bobs = self._grown(Story(world, world.bob))

    def _grown(self, story):
        code = redirected(story.answer(story.authorize()))["code"]
        form = {"grant_type": "authorization_code", "code": code, "code_verifier": VERIFIER}
        first = story.post("/oauth/token", form, story.world.web).json()
        second = story.exchange(first["access_token"]).json()
        third = story.exchange(
            second["access_token"], story.world.service_b_client, audience=SERVICE_C
        ).json()
        return [delegation_of(answer) for answer in (first, second, third)]

    def url(self, row, deed="change"):
        return f"{self.site.url}/admin/delegation_app/delegation/{row.pk}/{deed}/"


@pytest.fixture
def trees(site):
    limits = [{"type": "max_depth", "depth": 3}, {"type": "ip_range", "networks": ["127.0.0.0/8"]}]
    site.world.web.change(constraints=Constraints.parse(limits))
    operator = get_user_model().objects.create_user("operator", password=PASSWORD, is_staff=True)
    labels = ("delegation_app", "oauth2_provider", "auth")
    operator.user_permissions.set(Permission.objects.filter(content_type__app_label__in=labels))
    return Trees(site)


def signed_in(visit, site, **options):
    page = visit(**options)
    page.goto(f"{site.url}/admin/")
    page.get_by_label("Username").fill("operator")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("heading", name="Site administration").wait_for()
    return page


def test_operator_when_opening_a_leaf_then_sees_the_way_to_it(site, trees, visit):
    _, middle, leaf = trees.alices
    page = signed_in(visit, site)
    page.goto(trees.url(leaf))
    tree = page.locator(".delegation-tree")
    tree.get_by_text("Show as a list").click()
    lines = tree.locator(".delegation-node")
    sync_api.expect(lines).to_contain_text(["Web", "Service-A", "Service-B"])
    sync_api.expect(tree.locator('.delegation-node[aria-current="true"]')).to_contain_text(
        "Service-B"
    )
    indents = [lines.nth(number).bounding_box()["x"] for number in range(3)]
    assert indents == sorted(set(indents))
    picture(page, "admin-leaf")

    tree.get_by_role("link", name="Service-A", exact=True).click()
    page.wait_for_url(trees.url(middle))
    sync_api.expect(tree.locator('.delegation-node[aria-current="true"]')).to_contain_text(
        "Service-A"
    )
    picture(page, "admin-middle")


def test_operator_when_revoking_the_middle_of_a_tree_then_sees_what_is_left(site, trees, visit):
    root, middle, _ = trees.alices
    page = signed_in(visit, site)
    page.goto(trees.url(middle))
    page.get_by_role("link", name="Revoke", exact=True).click()
    sync_api.expect(page.get_by_text("cannot obtain", exact=False)).to_be_visible()
    sync_api.expect(page.get_by_text("2 delegations are revoked")).to_be_visible()
    picture(page, "admin-revoke")
    page.get_by_label("Reason").fill("Service A was broken into")
    page.get_by_role("button", name="Revoke").click()
    sync_api.expect(page.get_by_text("2 delegations ended.")).to_be_visible()
    states = page.locator(".delegation-state").all_text_contents()
    assert states == ["live", "revoked", "revoked"]
    picture(page, "admin-revoked")
    live = set(Delegation.objects.live().values_list("pk", flat=True))
    assert live == {root.pk, *(row.pk for row in trees.bobs)}
    assert DelegationBlock.objects.get().delegation == middle


def test_operator_when_narrowing_then_only_what_was_unticked_is_gone(site, trees, visit):
    row = trees.bobs[1]
    page = signed_in(visit, site)
    page.goto(trees.url(row))
    page.get_by_role("link", name="Narrow", exact=True).click()
    page.get_by_role("checkbox", name="write:alerts").uncheck()
    page.get_by_label("Reason").fill("Only needs to read")
    page.get_by_label("Constraints to add").fill("[oops")
    page.get_by_role("button", name="Narrow").click()
    sync_api.expect(page.get_by_text("The constraints are not valid JSON.")).to_be_visible()
    sync_api.expect(page.get_by_role("checkbox", name="write:alerts")).not_to_be_checked()
    page.get_by_text("Examples, to be placed between [ and ]").click()
    example = page.locator(".delegation-examples code").nth(1).inner_text()
    picture(page, "admin-narrow-wrong")
    page.get_by_label("Constraints to add").fill(f"[{example}]")
    page.get_by_role("button", name="Narrow").click()
    sync_api.expect(page.get_by_text("The delegation was narrowed.")).to_be_visible()
    sync_api.expect(
        page.get_by_text("It may be delegated onward at most once.").first
    ).to_be_visible()
    picture(page, "admin-narrowed")
    assert [
        str(each.scopes) for each in Delegation.objects.filter(root=row.root_id).order_by("depth")
    ] == [
        "read:metrics write:alerts",
        "read:metrics",
        "read:metrics",
    ]


def test_operator_when_scripts_are_off_then_everything_can_still_be_ended(site, trees, visit):
    page = signed_in(visit, site, java_script_enabled=False)
    page.goto(trees.url(trees.alices[2]))
    page.get_by_role("link", name="all delegations of alice", exact=True).click()
    sync_api.expect(page.get_by_text("3 delegations are revoked")).to_be_visible()
    picture(page, "admin-everything")
    page.get_by_label("Reason").fill("Account taken over")
    page.get_by_role("button", name="Revoke all").click()
    sync_api.expect(page.get_by_text("3 delegations ended.")).to_be_visible()
    assert {row.subject for row in Delegation.objects.live()} == {f"user:{site.world.bob.pk}"}


@pytest.mark.parametrize("viewport", [NARROW, WIDE], ids=["phone", "desktop"])
def test_pages_when_opened_on_a_phone_or_a_desktop_then_nothing_lies_outside(
    site, trees, visit, viewport
):
    page = signed_in(visit, site, viewport=viewport)
    width = viewport["width"]
    row = trees.alices[1]
    event = row.events.get(event="token.exchanged")
    admin = f"{site.url}/admin"
    for name, url in {
        "page": trees.url(row),
        "narrow": trees.url(row, "narrow"),
        "revoke": trees.url(row, "revoke"),
        "everything": trees.url(row, "everything/both"),
        "list": f"{admin}/delegation_app/delegation/?root={row.root_id}",
        "bulk": f"{admin}/delegation_app/delegation/bulk/?client=web",
        "start": f"{admin}/",
        "audit": f"{admin}/delegation_app/auditevent/",
        "event": f"{admin}/delegation_app/auditevent/{event.pk}/change/",
        "consents": f"{admin}/delegation_app/consentrecord/",
        "client": f"{admin}/oauth2_provider/application/{site.world.web.row.pk}/change/",
    }.items():
        page.goto(url)
        page.wait_for_load_state("load")
        picture(page, f"admin-{name}-{width}")
        # Django's own lists scroll within themselves
        assert not overflows(page), name


def test_tree_when_a_screen_reader_reads_it_then_it_is_a_nested_list(site, trees, visit):
    page = signed_in(visit, site)
    page.goto(trees.url(trees.alices[1]))
    tree = page.locator(".delegation-tree")
    nested = tree.locator("ul > li > ul > li > ul > li")
    sync_api.expect(nested).to_have_count(1)
    sync_api.expect(nested).to_contain_text(re.compile("Service-B.*for alice.*live", re.DOTALL))


def test_tree_when_drawn_then_its_boxes_are_links_for_the_keyboard(site, trees, visit):
    root, middle, _leaf = trees.alices
    page = signed_in(visit, site)
    page.goto(trees.url(middle))
    drawing = page.get_by_role("group", name="Delegation tree, also available as the list below")
    boxes = drawing.get_by_role("link")
    sync_api.expect(boxes).to_have_count(3)
    sync_api.expect(drawing.locator('[aria-current="true"]')).to_have_accessible_name(
        re.compile("Service-A, for alice, live: .* \\(this one\\)")
    )
    drawing.focus()
    page.keyboard.press("Tab")
    sync_api.expect(boxes.first).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url(trees.url(root))


def test_list_when_a_client_is_picked_by_name_then_all_of_it_can_be_revoked(
    site, trees, visit, monkeypatch
):
    monkeypatch.setattr(bulk, "SECONDS", 0)
    monkeypatch.setattr(limits, "MAX_BATCH", 1)
    page = signed_in(visit, site)
    page.goto(f"{site.url}/admin/delegation_app/delegation/")
    page.locator(".delegation-filter .select2-selection").click()
    page.keyboard.insert_text("We")
    page.get_by_role("option", name="Web").click()
    page.wait_for_url("**client=web**")
    page.get_by_role("link", name="Revoke all matching delegations").click()
    page.get_by_label("Reason").fill("Web was sold")
    page.get_by_role("button", name="Revoke all of them").click()
    # The second batch follows by itself
    sync_api.expect(page.get_by_text("6 delegations revoked so far.")).to_be_visible()
    picture(page, "admin-bulk-done")
    assert not Delegation.objects.live().exists()


def test_bulk_when_scripts_are_off_then_a_button_goes_on(site, trees, visit, monkeypatch):
    monkeypatch.setattr(bulk, "SECONDS", 0)
    monkeypatch.setattr(limits, "MAX_BATCH", 1)
    page = signed_in(visit, site, java_script_enabled=False)
    page.goto(f"{site.url}/admin/delegation_app/delegation/")
    page.get_by_label("Client id").fill("web")
    page.get_by_role("button", name="Filter").click()
    page.get_by_role("link", name="Revoke all matching delegations").click()
    page.get_by_label("Reason").fill("Web was sold")
    page.get_by_role("button", name="Revoke all of them").click()
    sync_api.expect(page.get_by_text("3 delegations revoked so far.")).to_be_visible()
    picture(page, "admin-bulk-part")
    page.get_by_role("button", name="Continue").click()
    sync_api.expect(page.get_by_text("6 delegations revoked so far.")).to_be_visible()


def test_keyboard_when_it_is_all_there_is_then_an_operator_can_revoke(site, trees, visit):
    page = signed_in(visit, site)
    page.goto(trees.url(trees.alices[0]))

    tab_to(page, "Revoke")
    page.keyboard.press("Enter")
    page.wait_for_url(trees.url(trees.alices[0], "revoke"))
    tab_to(page, "Reason")
    page.keyboard.type("without a mouse")
    page.keyboard.press("Enter")
    page.wait_for_url(trees.url(trees.alices[0]))
    assert Delegation.objects.filter(revocation_reason="without a mouse").count() == 3
