"""A person's browser: it keeps cookies, fills in forms, and follows redirects within the site."""

import time
from typing import Final
from urllib.parse import urljoin

import requests

from example_project.demo.expectations import NotAsTold, expect
from example_project.demo.page import Form, Page
from example_project.demo.transcript import Transcript
from example_project.outbound import new_session

# Longer than the services wait for each other, so that their own answer is the one that is told
TIMEOUT: Final = 40
_MOST_REDIRECTS: Final = 5


class Browser:
    """One person at one site.

    Args:
        site: the address of the site.
        transcript: where every exchange is written down.

    Attributes:
        submitted_at: when the last form was answered, on the clock that never goes back.
    """

    def __init__(self, site: str, transcript: Transcript) -> None:
        self._site = site
        self._transcript = transcript
        self._session = new_session()
        self.submitted_at = 0.0

    def get(self, address: str) -> requests.Response:
        """Open an address, and go where the site leads."""
        return self._follow(self._send("GET", urljoin(self._site, address)))

    def submit(
        self, shown: requests.Response, form: Form, **answers: str | list[str]
    ) -> requests.Response:
        """Fill in a form of a page, send it, and go where the site leads.

        Args:
            shown: the page.
            form: one of its forms.
            answers: what the person enters, ticks and presses.
        """
        address = urljoin(shown.url, form.action)
        answer = self._send("POST", address, form.filled(**answers))
        self.submitted_at = time.monotonic()
        return self._follow(answer)

    def _follow(self, answer: requests.Response) -> requests.Response:
        for _ in range(_MOST_REDIRECTS):
            target = urljoin(answer.url, answer.headers.get("Location", ""))
            # What leads away from the site is the app's to read.
            if not answer.is_redirect or not target.startswith(f"{self._site}/"):
                return answer
            answer = self._send("GET", target)
        raise NotAsTold("the site", expected="an answer", got="one redirect after another")

    def _send(
        self, method: str, address: str, data: list[tuple[str, str]] | None = None
    ) -> requests.Response:
        answer = self._session.request(
            method, address, data=data, timeout=TIMEOUT, allow_redirects=False
        )
        self._transcript.exchange(answer)
        return answer


def page_of(answer: requests.Response) -> Page:
    """Read the page that an answer carries.

    Raises:
        NotAsTold: it is an error.
    """
    expect("the status of the page", answer.status_code, 200)
    return Page.of(answer.text)
