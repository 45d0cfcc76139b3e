"""What docs/client.md says is what the code does."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import requests

from delegation_app import client as package
from delegation_app.client import discovery, errors
from delegation_app.client.cache import single_flight
from delegation_app.client.cache import token_cache as kept
from delegation_app.client.http import sessions, transport
from delegation_app.protocol.scope import Scope
from tests.client.fakes import ISSUER, REDIRECT_URI, SERVICE, client_of
from tests.client.test_client import callback as brought

pytestmark = pytest.mark.any_database

PAGE = (Path(__file__).parents[2] / "docs/client.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.fixture
def page(server):
    """What the page defines, in a module that has a client of a made-up server."""
    module = {name: getattr(package, name) for name in package.__all__}
    for block in BLOCKS:
        exec(block, module)  # noqa: S102 - what the page shows
    module["client"] = client_of(server)
    return SimpleNamespace(**module, module=module)


class Calls:
    """Stands in for a session: keeps what would be sent."""

    def __init__(self, auth):
        self.auth = auth

    def __enter__(self):
        return self

    def __exit__(self, *arguments):
        pass

    def post(self, url, json):
        return requests.Request("POST", url, json=json, auth=self.auth).prepare()


def test_page_when_a_person_connects(page, server):
    stored = []
    request = SimpleNamespace(session={})
    page.module["client"] = client = client_of(server)
    page.module.update(redirect=lambda url: url, store=lambda *tokens: stored.append(tokens))

    url = page.module["connect"](request)
    attempt = package.Attempt.load(request.session["attempt"])
    assert url == attempt.url
    request.build_absolute_uri = lambda: brought(attempt)
    page.module["callback"](request)

    assert attempt.redirect_uri == REDIRECT_URI
    assert stored[0][0] == "token-1"
    assert request.session == {}
    assert client.issuer == ISSUER


@pytest.mark.parametrize(
    ("name", "argument"),
    [
        ("call_internal_api", "/api"),
        ("call_service_b", SimpleNamespace(text="alice's", expires_at=2e9)),
    ],
)
def test_page_when_a_service_calls_another(page, server, name, argument):
    page.module["session"] = Calls
    sent = page.module[name](argument, {"a": 1})
    assert sent.headers["Authorization"] == "Bearer token-1"
    assert sent.url.startswith(SERVICE)
    assert len(server.forms) == 1


def test_page_when_scopes_are_looked_at(page):
    token = SimpleNamespace(allows=lambda scopes: Scope(scopes) <= Scope(["read:metrics"]))
    assert page.may_read(token)


def test_page_when_it_lists_errors():
    listed = dict(re.findall(r"^\| `(\w+)` \| `?([\w ]*?)`? ?\|", PAGE, flags=re.MULTILINE))
    codes = {kind.__name__: code for code, kind in errors._BY_CODE.items()}
    assert listed == {"NoAnswer": "", "UnusableAnswer": "", "Refused": "any other", **codes}


def test_page_when_it_names_the_functions_of_the_patterns():
    for name in (
        "exchangeCodeForToken",
        "getServiceToken",
        "callInternalApi",
        "exchangeTokenForDownstream",
        "callServiceB",
        "requireScopes",
    ):
        assert f"`{name}(" in PAGE


def test_page_when_it_has_numbers():
    assert (kept.AHEAD_SECONDS, kept.AHEAD_SECONDS * (1 + kept._JITTER_PART)) == (60, 75)
    assert kept.AHEAD_SECONDS / kept._AHEAD_PART == 4 * 60
    assert (kept._MARGIN_SECONDS, kept._MARGIN_PART, kept._MAX_LIFETIME) == (5, 0.1, 3600)
    assert kept.MAX_ENTRIES == 1024
    assert single_flight._MAX_PAUSE == 30
    assert (discovery.REFRESH_SECONDS, discovery.MAX_AGE_SECONDS) == (600, 86400)
    assert (transport.TOTAL_SECONDS, transport.MAX_BYTES) == (5, 1024 * 1024)
    assert sessions.API_SECONDS == 30
    assert sessions.CONNECT_SECONDS < transport.TOTAL_SECONDS
