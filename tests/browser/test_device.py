"""A person connects a device, in Chromium."""

import re

import pytest

from delegation_app.models import Delegation
from tests.browser.conftest import sync_api
from tests.browser.test_pages import (
    lowest_contrast,
    overflows,
    picture,
    sign_in,
    type_into_focused,
)
from tests.support.world import Story

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser"), pytest.mark.any_database]


@pytest.fixture
def device(site):
    """A device that shows a code."""
    story = Story(site.world)
    story.started = story.start(scope="read:metrics write:alerts read:profile").json()
    return story


def enter(page, code):
    page.get_by_label("Code").fill(code)
    page.get_by_role("button", name="Continue").click()


def asked(page):
    page.get_by_role("heading", name="Let Tv on a device act for you?").wait_for()
    page.wait_for_load_state("load")


def test_person_when_typing_the_code_and_allowing_then_the_device_gets_tokens(site, visit, device):
    page = visit()
    page.goto(device.started["verification_uri"])
    sign_in(page)
    code = device.started["user_code"]
    enter(page, code.lower().replace("-", ""))
    asked(page)
    assert page.get_by_text(code, exact=True).is_visible()
    assert page.get_by_role("note").is_visible()
    page.get_by_label(re.compile("Create alerts")).uncheck()
    page.get_by_label("How long").select_option("one day")
    page.get_by_role("button", name="Allow").click()
    page.get_by_role("heading", name="The device is connected").wait_for()
    assert page.get_by_role("button").count() == 0
    tokens = device.poll(device.started["device_code"]).json()
    assert tokens["scope"] == "read:metrics read:profile"
    # The form is sent again, and the first answer stands
    page.reload()
    page.get_by_role("heading", name="The device is connected").wait_for()
    assert Delegation.objects.count() == 1


def test_person_when_denying_then_the_device_is_told(site, visit, device):
    page = visit()
    page.goto(device.started["verification_uri_complete"])
    sign_in(page)
    # Filled in by the address, and waits for the person all the same
    assert page.get_by_label("Code").input_value() == device.started["user_code"]
    page.get_by_role("button", name="Continue").click()
    asked(page)
    page.get_by_role("button", name="Deny").click()
    page.get_by_role("heading", name="Access was denied").wait_for()
    assert device.poll(device.started["device_code"]).json()["error"] == "access_denied"
    assert not Delegation.objects.exists()


def test_keyboard_when_it_is_all_there_is_then_a_mistake_can_be_mended(site, visit, device):
    page = visit(refused=True)
    page.goto(device.started["verification_uri"])
    sign_in(page)
    page.get_by_role("heading", name="Connect a device").wait_for()
    # The first field has the focus by itself
    type_into_focused(page, "Code", "bbbb-bbbb")
    page.keyboard.press("Enter")
    page.get_by_role("alert").wait_for()
    field = page.get_by_label("Code")
    sync_api.expect(field).to_be_focused()
    assert field.get_attribute("aria-invalid") == "true"
    field.fill(device.started["user_code"])
    page.keyboard.press("Enter")
    asked(page)


@pytest.mark.parametrize("width", [320, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_when_small_or_dark_then_nothing_is_cut_and_text_can_be_read(
    site, visit, device, width, scheme
):
    page = visit(refused=True, viewport={"width": width, "height": 740}, color_scheme=scheme)

    def readable(name):
        page.wait_for_load_state("load")
        picture(page, f"device-{name}-{width}-{scheme}")
        assert not overflows(page)
        assert lowest_contrast(page) >= 4.5

    page.goto(device.started["verification_uri"])
    sign_in(page)
    page.get_by_role("heading", name="Connect a device").wait_for()
    readable("form")
    enter(page, "bbbb-bbbb")
    page.get_by_role("alert").wait_for()
    readable("wrong")
    enter(page, device.started["user_code"])
    asked(page)
    readable("question")
    page.get_by_role("button", name="Allow").click()
    page.get_by_role("heading", name="The device is connected").wait_for()
    readable("done")
