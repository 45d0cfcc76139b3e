"""A user's browser at one site."""

import time
from typing import Final
from urllib.parse import urljoin

import requests
from bs4 import BeautifulSoup, Tag

from example_project.demo.steps import StepFailed, expect
from example_project.demo.transcript import Transcript

# Longer than the services wait for each other, so that their own error arrives first
TIMEOUT: Final = 40
_BUTTONS: Final = frozenset({"submit", "button", "image", "reset"})
_BOXES: Final = frozenset({"checkbox", "radio"})


class _SiteSession(requests.Session):
    """A session that follows redirects within one site; those that leave it are the app's."""

    def __init__(self, site: str) -> None:
        super().__init__()
        # A proxy of the environment could not reach this machine's own address.
        self.trust_env = False
        self.max_redirects = 5
        self._site = site

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        target = super().get_redirect_target(resp)
        inside = target and urljoin(resp.url, target).startswith(f"{self._site}/")
        return target if inside else None


class Browser:
    """Keeps cookies, submits forms, and follows links and the redirects of the site.

    Args:
        site: the origin of the site.
        transcript: records every exchange.

    Attributes:
        page: the current page.
        submitted_at: when the last form was answered, on the monotonic clock.
    """

    def __init__(self, site: str, transcript: Transcript) -> None:
        self._transcript = transcript
        self._session = _SiteSession(site)
        self._session.hooks["response"].append(self._record)
        self._url = site
        self.page = BeautifulSoup("", "html.parser")
        self.submitted_at = 0.0

    def open(self, address: str) -> None:
        """Open a page."""
        self._show(self._session.get(urljoin(self._url, address), timeout=TIMEOUT))

    def find(self, selector: str) -> Tag:
        """Return the first element of the page that a CSS selector matches.

        Raises:
            StepFailed: there is none.
        """
        found = self.page.select_one(selector)
        if found is None:
            raise StepFailed("the page", expected=selector, got="no such element")
        return found

    def follow(self, selector: str) -> None:
        """Open the target of the first link that a CSS selector matches."""
        self.open(str(self.find(selector)["href"]))

    def values(self, field: str) -> dict[str, list[str]]:
        """Return what the form with this field would submit, without its buttons."""
        values: dict[str, list[str]] = {}
        for control in self._form(field).select("input[name], textarea[name], select[name]"):
            kind = control.get("type")
            if kind in _BUTTONS or (kind in _BOXES and not control.has_attr("checked")):
                continue
            values.setdefault(str(control["name"]), []).append(_value(control))
        return values

    def submit(self, field: str, **answers: str | list[str]) -> requests.Response:
        """Fill in the form with this field, and submit it; a list checks several boxes."""
        target = urljoin(self._url, str(self._form(field).get("action") or ""))
        data = {**self.values(field), **answers}
        return self._show(self._session.post(target, data=data, timeout=TIMEOUT))

    def _form(self, field: str) -> Tag:
        return self.find(f'form:has([name="{field}"])')

    def _record(self, answer: requests.Response, **_options: object) -> None:
        if answer.request.method == "POST":
            self.submitted_at = time.monotonic()
        self._transcript.exchange(answer)

    def _show(self, answer: requests.Response) -> requests.Response:
        if not answer.is_redirect:
            expect("the status of the page", answer.status_code, 200)
            self._url, self.page = answer.url, BeautifulSoup(answer.text, "html.parser")
        return answer


def _value(control: Tag) -> str:
    if control.name == "textarea":
        return control.get_text().strip("\n")
    if control.name == "select":
        option = control.select_one("option[selected]") or control.select_one("option")
        return "" if option is None else str(option.get("value", ""))
    return str(control.get("value") or ("on" if control.get("type") in _BOXES else ""))
