"""Every page while the database is away: a page says so, and no address answers 500."""

import pytest

from delegation_app.services import caching, signing_keys
from delegation_app.services.status_lists import cache
from tests.support import SecureClient
from tests.support.answers import each
from tests.support.broken_database import failing
from tests.support.site_map import TOKEN, Town
from tests.support.world import PASSWORD

OURS = ("delegation_app:", "admin:delegation_app_", "admin:oauth2_provider_application_")
# Answered from the settings, before anybody looks at a table
LOGIN = "/accounts/login/"


@pytest.fixture
def town(world):
    return Town(world)


def addresses(town, spaces=("",)):
    for line, address in town.addresses():
        if line.name.startswith(spaces) and not line.name.startswith("admin:jsi18n"):
            yield line.name, address


def asked(town, method, address):
    """The answer with a database that is away, and in how many statements that was noticed."""
    signing_keys.forget()
    cache.forget()
    caching.forget()
    browser = town.browser("superuser")
    with failing() as failure:
        if method == "GET":
            response = browser.get(address)
        else:
            form = {"csrfmiddlewaretoken": TOKEN}
            response = browser.post(address, form, headers={"referer": "https://testserver/"})
    return response, failure.happened


def says_so(response):
    assert response.status_code == 503, (response.status_code, response.content[:300])
    assert int(response["Retry-After"]) > 0
    assert "no-store" in response["Cache-Control"]
    assert b"secret-host" not in response.content


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_pages_of_ours_when_the_database_is_away(town, method, monkeypatch):
    # Whatever the site has done about its own pages
    monkeypatch.delattr("example_project.urls.handler500")
    noticed = 0
    for name, address in addresses(town, OURS):
        with each((name, address)):
            response, happened = asked(town, method, address)
            if happened:
                noticed += 1
                says_so(response)
            else:
                assert response.status_code < 500
    assert noticed > 30


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_pages_of_the_site_when_it_uses_our_handler(town, method):
    for name, address in addresses(town):
        with each((name, address)):
            response, happened = asked(town, method, address)
            assert response.status_code != 500
            if happened and name.startswith("admin:"):
                says_so(response)


def test_sign_in_when_the_database_is_away(world):
    browser = SecureClient(raise_request_exception=False)
    with failing():
        response = browser.post(LOGIN, {"username": "alice", "password": PASSWORD})
        says_so(response)
        assert b"may or may not have been completed" in response.content
        start = browser.get("/admin/login/")
    assert start.status_code == 200
    browser.force_login(world.alice)
    with failing():
        response = browser.get("/admin/")
        says_so(response)
        assert b"may or may not have been completed" not in response.content


def test_handler_when_something_else_is_wrong(world, monkeypatch):
    def broken(*_args, **_kwargs):
        raise ZeroDivisionError

    monkeypatch.setattr("example_project.pages.Home.get", broken)
    response = SecureClient(raise_request_exception=False).get("/")
    assert response.status_code == 500
    assert b"database" not in response.content
