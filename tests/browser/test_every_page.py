"""Each page of `every_page.py` once, light and dark, wide and narrow, with and without scripts."""

import os
from pathlib import Path

import pytest

from delegation_app import toolkit
from delegation_app.models import ResourceServer
from tests.browser.every_page import PAGES
from tests.support import require_or_skip
from tests.support.site_map import Town

try:
    from axe_playwright_python.sync_playwright import Axe
except ImportError:
    Axe = None

# One worker: the live server, its database and the browser are shared
pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

ROOT = Path(__file__).parents[2]
PICTURES = Path(os.environ.get("PAGES_DIR") or ROOT / ".artifacts/pages")
WIDE, NARROW = {"width": 1280, "height": 800}, {"width": 360, "height": 740}
# No place to break, as the worst names have none
LONG = "Metrics for all that you ever measured, " + "Whatever" * 20

RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"], "preload": False}
CONTRAST = {"runOnly": ["color-contrast"], "preload": False}
# What the templates and scripts of Django's own admin do: the rule, and the elements it is about
DJANGOS = {
    # Told by their place: the trail above each page, the list of what a deletion takes along
    "link-in-text-block": ".breadcrumbs > a, #deleted-objects a",
    # The icon before the search fields that its script puts beside a choice of many
    "aria-prohibited-attr": ".selector .help-tooltip",
}

UNCHECKED = "[...document.forms].forEach(form => { form.noValidate = true; })"
OVERFLOW = """() => {
  const more = document.scrollingElement.scrollWidth - innerWidth;
  const wide = [...document.body.querySelectorAll('*')]
    .filter(one => one.getBoundingClientRect().right > innerWidth + 1 && !one.children.length);
  const some = wide.slice(0, 3).map(one => one.outerHTML.slice(0, 150));
  return more > 0 ? `${more} px too wide, see ${some}` : '';
}"""


class Look:
    """One browser page that is led from address to address; what is wrong is collected."""

    def __init__(self, chromium, site, town, role, **options):
        self.site, self.role = site, role
        self.scripts = options.get("java_script_enabled", True)
        self.context = chromium.new_context(viewport=WIDE, **options)
        self.context.set_default_timeout(15_000)
        self.context.add_cookies(
            [
                {"name": name, "value": value, "url": site.url}
                for name, value in town.cookies[role].items()
            ]
        )
        self.page = self.context.new_page()
        self.wrong, self.at, self.status, self.deaf = [], "", 200, False
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.blame(f"script: {error}"))

    def blame(self, what):
        self.wrong.append(f"{self.role} {self.at}: {what}")

    def _console(self, message):
        # Chromium asks for an icon of its own accord, and calls every refusal an error
        if self.deaf or message.location.get("url", "").endswith("/favicon.ico"):
            return
        if f"status of {self.status}" in message.text and self.status >= 400:
            return
        self.blame(f"console: {message.text}")

    def open(self, one, things):
        self.at, self.status = one.name, one.status
        answer = self.page.goto(self.site.url + one.url(things))
        if answer.status != one.status:
            self.blame(f"status {answer.status}")
        for label in one.then:
            self.status = 400
            # What the browser would hold back the server has to refuse as well
            if self.scripts:
                self.page.evaluate(UNCHECKED)
            self.page.get_by_role("button", name=label, exact=True).click()
        self.page.wait_for_load_state("load")

    def picture(self, mode):
        PICTURES.mkdir(parents=True, exist_ok=True)
        path = PICTURES / f"{self.role}-{self.at}-{mode}.png"
        self.page.screenshot(path=str(path), full_page=True)

    def fits(self, mode):
        if wrong := self.page.evaluate(OVERFLOW):
            self.blame(f"{mode}: {wrong}")

    def axe(self, mode, options):
        # It measures with styles of its own, which the policy of the page refuses
        self.deaf = True
        found = Axe().run(self.page, options=options).response["violations"]
        self.deaf = False
        for rule in found:
            for node in rule["nodes"]:
                if not self._is_djangos(rule["id"], node["target"][0]):
                    self.blame(f"{mode}: {rule['id']} at {node['target']}: {node['html'][:150]}")

    def _is_djangos(self, rule, target):
        if rule not in DJANGOS:
            return False
        matches = "(element, selector) => element.matches(selector)"
        return self.page.locator(target).first.evaluate(matches, DJANGOS[rule])


@pytest.fixture
def town(site):
    for app in site.world.apps.values():
        app.row.refresh_from_db()
    town = Town(site.world)
    _root, child, _leaf = town.chain.rows
    town.things |= {"alices-child": child.public_id, "bobs": town.bobs.public_id}
    return town


def looked_at(looking, one, things):
    """Open a page once, and look at it in three ways."""
    page = looking.page
    page.set_viewport_size(WIDE)
    looking.open(one, things)
    looking.picture("light")
    looking.axe("light", RULES)
    page.emulate_media(color_scheme="dark")
    looking.picture("dark")
    looking.axe("dark", CONTRAST)
    page.emulate_media(color_scheme="light")
    page.set_viewport_size(NARROW)
    looking.fits("narrow")
    looking.picture("narrow")


@pytest.mark.parametrize("role", sorted({one.role for one in PAGES}))
def test_pages_when_looked_at_in_every_way_then_all_can_read_and_use_them(
    chromium, site, town, role
):
    require_or_skip(Axe, "axe-playwright-python is not installed")
    looking = Look(chromium, site, town, role)
    plain = Look(chromium, site, town, role, java_script_enabled=False)
    pages = [one for one in PAGES if one.role == role]
    for one in pages:
        looked_at(looking, one, town.things)
        plain.open(one, town.things)
        if not plain.page.locator("h1, h2, form").first.is_visible():
            plain.blame("shows nothing without scripts")
    toolkit.application_model().objects.update(name=LONG[:200])
    ResourceServer.objects.filter(pk=town.things["server"]).update(name="Service " + "A" * 200)
    for one in pages:
        looking.open(one, town.things)
        looking.fits("long names")
        looking.picture("long")
    for each in (looking, plain):
        each.context.close()
    wrong = looking.wrong + plain.wrong
    assert not wrong, "\n".join(wrong)
