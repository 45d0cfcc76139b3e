"""The pictures of README and docs, taken from the seeded demo.

    PICTURES_DIR=.artifacts/pictures pytest tests/browser/test_pictures.py

writes them; without the variable they are taken all the same, and thrown away.
"""

import json
import os
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlencode

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command

from delegation_app import toolkit
from example_project import settings as example_settings
from tests.browser.test_pages import sign_in
from tests.support.world import App, Story, claims_of, delegation_of

# One worker: the live server, its database and the browser are shared
pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser"), pytest.mark.any_database]

MOST_BYTES = 150 * 1024
VIEWPORT = {"width": 1200, "height": 740}


@pytest.fixture
def demo(live_server, transactional_db, settings, tmp_path):
    """The seeded demo, in which service A has passed on what alice let Web do."""
    settings.ISSUER = live_server.url
    settings.DELEGATION = {**example_settings.DELEGATION, "ISSUER": live_server.url}
    settings.DEMO_CREDENTIALS = tmp_path / "credentials.json"
    printed = StringIO()
    call_command("seed_demo", "--json", stdout=printed)
    seeded = json.loads(printed.getvalue())
    rows = toolkit.application_model().objects
    apps = {
        name: App(rows.get(client_id=one["client_id"]), one["client_secret"])
        for name, one in seeded["clients"].items()
    }
    story = Story(SimpleNamespace(**apps), get_user_model().objects.get(username="alice"))
    first = story.tokens(apps["web"])
    audience = seeded["audiences"]["service_b"]
    handed = story.exchange(first["access_token"], apps["service_a"], audience=audience)
    assert handed.status_code == 200, handed.content
    story.client_credentials(apps["cron"])
    refused = story.tokens(apps["mobile"])
    story.revoke(refused["refresh_token"], apps["mobile"])
    return SimpleNamespace(
        url=live_server.url,
        users=seeded["users"],
        story=story,
        row=delegation_of(first),
        refused=claims_of(refused["access_token"])["jti"],
    )


def signed_in(chromium, demo, role, path):
    page = chromium.new_page(viewport=VIEWPORT)
    page.goto(f"{demo.url}/accounts/login/?next={path}")
    sign_in(page, demo.users[role]["username"], demo.users[role]["password"])
    page.wait_for_url(f"{demo.url}{path}")
    return page


@pytest.fixture
def picture(tmp_path):
    """Keep a picture of a page, as small as a README needs it."""
    folder = Path(os.environ.get("PICTURES_DIR") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)

    def keep(page, name, **options):
        page.wait_for_load_state("load")
        path = folder / f"{name}.png"
        page.screenshot(path=str(path), scale="css", **options)
        assert path.stat().st_size <= MOST_BYTES, name

    return keep


def test_pictures_when_taken_from_the_demo_then_they_are_small_enough(chromium, demo, picture):
    alice = signed_in(chromium, demo, "alice", "/connections/")
    operator = signed_in(chromium, demo, "operator", "/admin/")
    asks = demo.story.authorize_parameters(prompt="consent", scope=None)
    record = f"/admin/delegation_app/delegation/{demo.row.pk}/change/"
    # A page more is a line more
    for name, page, address in (
        ("consent", alice, "/oauth/authorize?" + urlencode(asks)),
        ("connections", alice, "/connections/"),
        ("connection", alice, f"/connections/{demo.row.public_id}"),
        ("admin-start", operator, "/admin/"),
        ("admin-delegation", operator, record),
        ("admin-audit", operator, "/admin/delegation_app/auditevent/"),
    ):
        answer = page.goto(demo.url + address)
        assert answer.status == 200, name
        picture(page, name, full_page=name == "consent")
    operator.goto(f"{demo.url}/admin/delegation_app/auditevent/why/")
    operator.get_by_label("Request id, token id, delegation id, or token").fill(demo.refused)
    operator.get_by_role("button", name="Explain").click()
    operator.get_by_text("The token is refused.").wait_for()
    picture(operator, "admin-why")
