"""Nothing that a request quotes forges a line of the log."""

from urllib.parse import quote, urlencode

import pytest
from django.db import DatabaseError, DataError
from django.urls import reverse

from delegation_app.services.consent import validation
from delegation_app.services.reporting import metrics
from delegation_app.services.tokens import introspection
from tests.protocol.test_printable import FORGED, is_harmless
from tests.support.world import App

pytestmark = pytest.mark.any_database

LINES = [f"{mark}{FORGED}" for mark in ("\n", "\r\n", "\x1b[31m", "\x85", "\u2028", "\u202e")]


@pytest.fixture(params=LINES, ids=ascii)
def hostile(request):
    return request.param


@pytest.fixture
def lines(caplog):
    """What the log holds, in lines; checks that something was written and that all is harmless."""
    caplog.set_level("INFO", logger="delegation_app")

    def read():
        found = caplog.text.split("\n")
        assert len(found) > 1
        assert [line for line in found if not is_harmless(line)] == []
        assert [line for line in found if line.startswith(FORGED[:4])] == []
        return found

    return read


def test_log_when_the_name_of_a_parameter_is_hostile(story, hostile, lines):
    for name in ("api-connections", "connections", "authorize", "device"):
        story.browser.get(f"{reverse(f'delegation_app:{name}')}?{quote(hostile)}=1")
    story.post("/oauth/token", {hostile: "1", "grant_type": hostile}, story.world.web)
    lines()


@pytest.mark.parametrize("name", ["token", "revoke", "introspect", "device_authorization"])
def test_log_when_every_value_is_hostile(story, hostile, lines, name):
    names = ("grant_type", "code", "refresh_token", "scope", "resource", "client_id", "token")
    for parameter in names:
        story.post(f"/oauth/{name}", {"grant_type": "refresh_token", parameter: hostile})
    lines()


def test_log_when_the_authorization_request_is_hostile(story, hostile, lines):
    for parameter in ("client_id", "redirect_uri", "scope", "resource", "prompt", "response_type"):
        query = urlencode(story.authorize_parameters(**{parameter: hostile}))
        story.browser.get(f"/oauth/authorize?{query}")
    lines()


@pytest.mark.parametrize("kind", [ValueError, KeyError, DatabaseError, DataError])
def test_log_when_an_exception_quotes_the_request(story, hostile, lines, monkeypatch, kind):
    def fail(*_args, **_kwargs):
        raise kind(hostile)

    monkeypatch.setattr(introspection, "introspect", fail)
    monkeypatch.setattr(validation, "consent_request", fail)
    story.introspect("x")
    story.browser.get(f"/oauth/authorize?{urlencode(story.authorize_parameters())}")
    assert any(line.startswith("Traceback") for line in lines())


def test_log_when_the_cache_quotes(story, hostile, lines, monkeypatch):
    def fail(*_args, **_kwargs):
        raise ConnectionError(hostile)

    for method in ("get", "add", "incr", "set"):
        monkeypatch.setattr(f"django.core.cache.backends.locmem.LocMemCache.{method}", fail)
    story.redeem("wrong", App(story.world.web.row, "wrong"))
    assert not metrics.cache_answers()
    metrics.live()
    story.wire.get(story.wire.get("/oauth/status").json()["status_lists"][0])
    lines()


def test_log_when_the_path_is_hostile(story, hostile, lines):
    for before in ("/connections/", "/connections/api/", "/delegations/api/", "/oauth/status/"):
        story.browser.get(before + quote(hostile))
    lines()
