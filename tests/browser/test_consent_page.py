"""The consent page with all that it can say, and the console that shows it again, in Chromium."""

import re

import pytest
from django.contrib.auth import get_user_model

from delegation_app import toolkit
from delegation_app.models import ConsentRecord, Delegation
from delegation_app.protocol.constraints import Constraints
from delegation_app.services.clients import logos
from example_project.demo.world import LOGO
from tests.browser.test_pages import lowest_contrast, overflows, picture, sign_in
from tests.support.world import PASSWORD, Story

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser"), pytest.mark.any_database]

ALL = "read:metrics write:alerts delete:alerts read:profile"
LONG = "Metrics " + "Aggregator" * 19 + "XX"


@pytest.fixture
def asking(site, settings):
    """A site on which web needs something, wants something risky, and shows who it is."""
    risks = {"read:metrics": "low", "delete:alerts": "high"}
    settings.DELEGATION = {**settings.DELEGATION, "SCOPE_RISKS": risks}
    limits = [{"type": "max_uses", "uses": 5}, {"type": "max_depth", "depth": 2}]
    for app in (site.world.web, site.world.mobile):
        app.change(
            scopes=ALL,
            required_scopes="read:metrics",
            confirm_risky=True,
            home_page="https://metrics.example.com/",
            privacy_page="https://metrics.example.com/privacy",
            constraints=Constraints.parse(limits),
        )
    logos.put(site.world.web.policy, LOGO)
    return site


def named(name, app="web"):
    toolkit.application_model().objects.filter(client_id=app).update(name=name)


def open_page(site, page, **changes):
    page.goto(site.authorize_url(scope=ALL, **changes))
    if page.get_by_label("Password").count():
        sign_in(page)
    page.get_by_role("button", name="Allow").wait_for()
    page.wait_for_load_state("load")


LOOKS = [
    pytest.param("Metrics Web", 1280, "light", id="wide-light"),
    pytest.param("Metrics Web", 1280, "dark", id="wide-dark"),
    pytest.param("Metrics Web", 360, "light", id="narrow-light"),
    pytest.param(LONG, 360, "dark", id="narrow-long"),
    pytest.param(LONG, 1280, "light", id="wide-long"),
]


@pytest.mark.parametrize(("name", "width", "scheme"), LOOKS)
def test_page_when_it_says_all_that_it_can_then_it_can_be_read_everywhere(
    asking, visit, name, width, scheme
):
    named(name)
    Story(asking.world, asking.world.alice).tokens(
        scope="read:profile", redirect_uri=asking.app.uri
    )
    page = visit(viewport={"width": width, "height": 740}, color_scheme=scheme)
    open_page(asking, page)
    picture(page, f"question-{width}-{scheme}-{len(name)}")
    assert not overflows(page)
    assert lowest_contrast(page) >= 4.5
    assert page.locator("img.logo").evaluate("image => image.naturalWidth") == 96
    deny, allow = (
        page.get_by_role("button", name=text).bounding_box() for text in ("Deny", "Allow")
    )
    assert (deny["width"], deny["height"]) == (allow["width"], allow["height"])
    for box in page.get_by_role("checkbox").all():
        assert box.evaluate("box => box.labels.length") == 1


def test_person_when_something_needed_is_missing_then_told_and_what_was_chosen_is_kept(
    asking, visit
):
    page = visit(refused=True)
    open_page(asking, page)
    page.get_by_label(re.compile("Read metrics")).uncheck()
    page.get_by_label(re.compile("Delete alerts")).check()
    page.get_by_label("How long").select_option("one day")
    page.get_by_role("button", name="Allow").click()
    page.get_by_role("alert").wait_for()
    picture(page, "question-again")
    assert page.get_by_label(re.compile("Delete alerts")).is_checked()
    assert page.get_by_label("How long").input_value() == "86400"
    page.get_by_label(re.compile("Read metrics")).check()
    page.get_by_role("button", name="Allow").click()
    page.get_by_role("heading", name="Pending approval by an operator").wait_for()
    picture(page, "question-waits")
    page.get_by_role("link", name="Connections").click()
    page.get_by_role("heading", name="Pending approval").wait_for()
    picture(page, "connections-waiting")
    assert not Delegation.objects.exists()


@pytest.mark.parametrize(
    ("width", "scheme"), [(1280, "light"), (1280, "dark"), (360, "light")], ids=str
)
def test_operator_when_reviewing_a_consent_then_it_is_there_as_the_person_saw_it(
    asking, visit, width, scheme
):
    story = Story(asking.world, asking.world.alice)
    story.tokens(scope="read:metrics", redirect_uri=asking.app.uri)
    asked = story.authorize(scope=ALL, redirect_uri=asking.app.uri)
    story.answer(asked, scopes=["write:alerts", "delete:alerts"])
    record = ConsentRecord.objects.latest("pk")
    get_user_model().objects.create_superuser("root", password=PASSWORD)
    page = visit(viewport={"width": width, "height": 740}, color_scheme=scheme)
    page.goto(f"{asking.url}/admin/delegation_app/consentrecord/?confirmation=pending")
    page.get_by_label("Username").fill("root")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("link", name="Pending approval: 1").wait_for()
    picture(page, f"admin-queue-{width}-{scheme}")
    page.goto(f"{asking.url}/admin/delegation_app/consentrecord/{record.pk}/change/")
    page.get_by_role("heading", name="As shown to the user").wait_for()
    picture(page, f"admin-consent-{width}-{scheme}")
    page.get_by_role("link", name="Approve", exact=True).click()
    page.get_by_label("Reason").fill("asked her")
    picture(page, f"admin-confirm-{width}-{scheme}")
    page.get_by_role("button", name="Approve").click()
    page.get_by_text("The consent was approved.").wait_for()
    record.refresh_from_db()
    assert record.confirmation == "confirmed"
