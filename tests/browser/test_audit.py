"""The audit trail and the questions about it, in Chromium."""

import json

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission

from delegation_app import toolkit
from delegation_app.models import AuditEvent
from tests.browser.conftest import sync_api
from tests.browser.test_admin import Trees, signed_in
from tests.browser.test_pages import overflows, picture
from tests.support.world import PASSWORD

# One worker: the live server, its database and the browser are shared
pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser"), pytest.mark.any_database]

LOOKS = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "narrow": {"viewport": {"width": 360, "height": 740}},
}


@pytest.fixture
def trees(site):
    operator = get_user_model().objects.create_user("operator", password=PASSWORD, is_staff=True)
    labels = ("delegation_app", "oauth2_provider", "auth")
    operator.user_permissions.set(Permission.objects.filter(content_type__app_label__in=labels))
    grown = Trees(site)
    grown.site.world.web.change(enabled=False)
    return grown


@pytest.mark.parametrize("look", LOOKS)
def test_pages_when_opened_in_any_look_then_nothing_lies_outside(site, trees, visit, look):
    long = "A client with a very long name " * 6
    toolkit.application_model().objects.filter(client_id="service-a").update(name=long)
    page = signed_in(visit, site, refused=True, **LOOKS[look])
    admin = f"{site.url}/admin/delegation_app/auditevent"
    event = AuditEvent.objects.filter(event="token.exchanged").latest("pk")
    for name, url in {
        "list": f"{admin}/",
        "filtered": f"{admin}/?event=token.exchanged&jti=x&range=day",
        "wrong": f"{admin}/?at=x",
        "event": f"{admin}/{event.pk}/change/",
        "as-of": f"{admin}/as-of/?person=alice&when={event.occurred_at:%Y-%m-%dT%H:%M:%S}",
    }.items():
        page.goto(url)
        page.wait_for_load_state("load")
        picture(page, f"audit-{name}-{look}")
        assert not overflows(page), name
    page.goto(f"{admin}/why/")
    page.get_by_label("Request id, token id, delegation id, or token").fill(event.jti)
    page.get_by_role("button", name="Explain").click()
    sync_api.expect(page.get_by_text("The token is refused. web is")).to_be_visible()
    sync_api.expect(
        page.get_by_label("Request id, token id, delegation id, or token")
    ).to_have_value("")
    picture(page, f"audit-why-{look}")
    assert not overflows(page)


def test_operator_when_scripts_are_off_then_leafs_through_and_exports(site, trees, visit):
    page = signed_in(visit, site, java_script_enabled=False)
    page.goto(f"{site.url}/admin/delegation_app/auditevent/")
    page.get_by_label("Event", exact=True).select_option("Token exchanged")
    page.get_by_role("button", name="Show").click()
    sync_api.expect(page.locator("#result_list tbody tr")).to_have_count(4)
    with page.expect_download() as download:
        page.get_by_role("button", name="NDJSON").click()
    lines = download.value.path().read_text().splitlines()
    assert {json.loads(line)["event"] for line in lines} == {"token.exchanged"}
    assert len(lines) == 4
    page.locator("#result_list tbody a").first.click()
    sync_api.expect(page.get_by_label("This event as JSON")).to_be_visible()
    sync_api.expect(page.get_by_role("button", name="Copy")).to_be_hidden()


def test_operator_when_copying_an_event_then_the_clipboard_has_it_as_json(site, trees, visit):
    page = signed_in(visit, site, permissions=["clipboard-read", "clipboard-write"])
    event = AuditEvent.objects.latest("pk")
    page.goto(f"{site.url}/admin/delegation_app/auditevent/{event.pk}/change/")
    page.get_by_role("button", name="Copy").click()
    page.get_by_role("button", name="Copied").wait_for()
    assert json.loads(page.evaluate("navigator.clipboard.readText()"))["id"] == event.pk
