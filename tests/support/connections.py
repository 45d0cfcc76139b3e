"""The pages about a person's connections, as their browser sends what they fill in."""

import re
from urllib.parse import urlencode

from tests.support.world import FORM

LIST = "/connections/"
ALL = "/connections/end"


def at(row, deed=""):
    """The address of a delegation's page."""
    return f"{LIST}{row.public_id}{deed and '/'}{deed}"


def shown(story, address, status=200):
    """GET a page, and return its text."""
    page = story.browser.get(address)
    assert page.status_code == status, (page.status_code, page.content[:500])
    return page.content.decode()


def mark_on(html):
    return re.search(r'name="person" value="([^"]+)"', html)[1]


def send(story, address, **fields):
    """POST the form of a page as it was shown, with these fields filled in."""
    fields = {"person": mark_on(shown(story, address)), **fields}
    return post(story, address, **fields)


def post(story, address, **fields):
    """POST exactly these fields; a value of None leaves one out."""
    body = urlencode({k: v for k, v in fields.items() if v is not None}, doseq=True)
    return story.browser.post(address, body, content_type=FORM)


def apps_on(html):
    """The names of the apps of a list, in order."""
    return re.findall(r"<h2><a [^>]*><bdi>([^<]*)</bdi></a></h2>", html)
