"""W028, W029: what is registered and does not work."""

import pytest
from django.core.checks import run_checks

from delegation_app import toolkit

pytestmark = pytest.mark.any_database

OURS = "delegation_app."


def found(**arguments):
    messages = run_checks(databases=["default"], **arguments)
    return [(one.id.removeprefix(OURS), one.msg) for one in messages if one.id.startswith(OURS)]


def change(app, **values):
    toolkit.application_model().objects.filter(pk=app.row.pk).update(**values)


@pytest.fixture
def mobile(world, settings):
    """The mobile app's own scheme is one of the site's, so all is well."""
    settings.OAUTH2_PROVIDER = {
        **settings.OAUTH2_PROVIDER,
        "ALLOWED_REDIRECT_URI_SCHEMES": ["https", "http", "com.example.mobile"],
    }
    return world.mobile


def test_check_when_all_is_well_then_nothing_is_said(mobile):
    assert found() == []


@pytest.mark.parametrize(
    ("uri", "why"),
    [
        ("https://a.example.com/cb?code=x", "authorization response"),
        ("http://10.0.0.5/cb", "Plain http"),
        ("other.example.app:/cb", "does not allow the scheme"),
        ("https://a.example.com/cb#x", "must not have a fragment"),
    ],
)
def test_check_when_a_redirect_uri_is_never_accepted_then_w028(mobile, world, uri, why):
    change(world.web, redirect_uris=f"https://web.example.com/callback {uri}")
    [(number, message)] = found()
    assert number == "W028"
    assert message.startswith(f"web: The redirect URI {uri} is unusable.")
    assert why in message


def test_check_when_many_redirect_uris_are_bad_then_some_are_named(mobile, world):
    change(world.web, redirect_uris=" ".join(f"http://10.0.0.{n}/" for n in range(100)))
    assert [number for number, _message in found()] == ["W028"] * 20


def test_check_when_a_public_client_is_trusted_then_w029(mobile, world):
    change(world.web, skip_authorization=True)
    assert found() == []
    change(mobile, skip_authorization=True)
    [(number, message)] = found()
    assert number == "W029"
    assert message.startswith("mobile skips authorization, but users are prompted")


def test_check_when_no_database_is_meant_then_no_row_is_read(
    mobile, world, django_assert_num_queries
):
    change(world.web, redirect_uris="http://10.0.0.5/cb")
    with django_assert_num_queries(0):
        assert not [one for one in run_checks(tags=["database"]) if one.id.startswith(OURS)]
