"""Looking at pages in every way: what is wrong with them is collected, and pictures are kept."""

import os
from pathlib import Path

try:
    from axe_playwright_python.base import AXE_SCRIPT
except ImportError:
    AXE_SCRIPT = None

from tests.browser.conftest import PATIENCE

ROOT = Path(__file__).parents[2]
PICTURES = Path(os.environ.get("PAGES_DIR") or ROOT / ".artifacts/pages")
WIDE, NARROW = {"width": 1280, "height": 800}, {"width": 360, "height": 740}

ONLY_WRONG = {"resultTypes": ["violations"], "preload": False}
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"], **ONLY_WRONG}
CONTRAST = {"runOnly": ["color-contrast"], **ONLY_WRONG}
AXE = """([around, options]) => axe.run({exclude: around}, options)
  .then(found => found.violations.flatMap(
  rule => rule.nodes.map(node => [rule.id, node.target[0], node.html.slice(0, 150)])))"""
# The same on every page of the admin: its start page is judged with them
AROUND = ["#header", "#nav-sidebar"]
# What the templates and scripts of Django's own admin do: the rule, and the elements it is about
DJANGOS = {
    # Told by their place: the trail above each page, the list of what a deletion takes along
    "link-in-text-block": ".breadcrumbs > a, #deleted-objects a",
    # The icon before the search fields that its script puts beside a choice of many
    "aria-prohibited-attr": ".selector .help-tooltip",
}

UNCHECKED = "[...document.forms].forEach(form => { form.noValidate = true; })"
# What goes on by itself after a moment waits, so that it can be looked at
PATIENT = """const later = window.setTimeout;
window.setTimeout = (what, ms, ...more) => (ms === 400 ? 0 : later(what, ms, ...more));"""
# Colours that fade into others have none that can be judged
SETTLED = "document.getAnimations().forEach(one => one.finish())"
OVERFLOW = """() => {
  const more = document.scrollingElement.scrollWidth - innerWidth;
  const wide = [...document.body.querySelectorAll('*')]
    .filter(one => one.getBoundingClientRect().right > innerWidth + 1 && !one.children.length);
  const some = wide.slice(0, 3).map(one => one.outerHTML.slice(0, 150));
  return more > 0 ? `${more} px too wide, see ${some}` : '';
}"""


class Look:
    """One browser page that is led from address to address; what is wrong is collected.

    Attributes:
        wrong: a line for each fault.
    """

    def __init__(self, chromium, url, role, cookies, **options):
        self.url, self.role = url, role
        self.scripts = options.get("java_script_enabled", True)
        self.context = chromium.new_context(**{"viewport": WIDE, **options})
        self.context.set_default_timeout(PATIENCE)
        self.context.add_init_script(PATIENT)
        self.context.add_cookies(
            [{"name": name, "value": value, "url": url} for name, value in cookies.items()]
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
        """Open a page of the table, and do what its line says."""
        self.at, self.status = one.name, one.status
        answer = self.page.goto(self.url + one.url(things))
        if answer.status != one.status:
            self.blame(f"status {answer.status}")
        for step in one.then:
            if isinstance(step, tuple):
                label, text = step
                self.page.get_by_label(label).fill(things.get(text, text))
            else:
                self._press(step)
        self.page.wait_for_load_state("load")

    def _press(self, name):
        self.status = 400
        # What the browser would hold back the server has to refuse as well
        if self.scripts:
            self.page.evaluate(UNCHECKED)
        self.page.get_by_role("button", name=name, exact=True).click()

    def in_every_way(self):
        """Look at what is open: light, dark and narrow."""
        page = self.page
        # It measures with styles of its own, which the policy of the page refuses
        page.evaluate(AXE_SCRIPT)
        self.judge("light", RULES)
        self.picture("light")
        self._scheme("dark")
        self.judge("dark", CONTRAST)
        self.picture("dark")
        self._scheme("light")
        page.set_viewport_size(NARROW)
        self.fits("narrow")
        self.picture("narrow")
        page.set_viewport_size(WIDE)

    def _scheme(self, name):
        self.page.emulate_media(color_scheme=name)
        self.page.evaluate(SETTLED)

    def picture(self, mode):
        PICTURES.mkdir(parents=True, exist_ok=True)
        path = PICTURES / f"{self.role}-{self.at}-{mode}.png"
        self.page.screenshot(path=str(path), full_page=True)

    def fits(self, mode):
        if wrong := self.page.evaluate(OVERFLOW):
            self.blame(f"{mode}: {wrong}")

    def shows(self, text):
        """Whether the page has this text."""
        return self.page.evaluate("text => document.body.textContent.includes(text)", text)

    def judge(self, mode, options):
        """Let axe-core judge the page."""
        self.deaf = True
        around = [] if self.at == "admin-index" else AROUND
        found = self.page.evaluate(AXE, [around, options])
        self.deaf = False
        for rule, target, html in found:
            if not self._is_djangos(rule, target):
                self.blame(f"{mode}: {rule} at {target}: {html}")

    def _is_djangos(self, rule, target):
        if rule not in DJANGOS:
            return False
        matches = "(element, selector) => element.matches(selector)"
        return self.page.locator(target).first.evaluate(matches, DJANGOS[rule])
