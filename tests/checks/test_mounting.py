"""Where the endpoints are mounted, and where clients look for the metadata."""

from types import ModuleType

import pytest
from django.conf.urls.i18n import i18n_patterns
from django.http import HttpResponse
from django.test import override_settings
from django.urls import include, path, set_script_prefix

from delegation_app import checks
from tests.checks import numbers

pytestmark = pytest.mark.any_database

OURS = path("", include("delegation_app.urls"))
ROOT = path("", include("delegation_app.urls_well_known"))
BELOW = path("auth/", include("delegation_app.urls"))
ANOTHER = path(".well-known/oauth-authorization-server", lambda request: HttpResponse())


@pytest.fixture
def mounted(settings):
    """Mount URL patterns; return the numbers that are reported."""

    def mount(*patterns, issuer="https://as.example.com"):
        module = ModuleType("urls_of_a_test")
        module.urlpatterns = list(patterns)
        settings.DELEGATION = {**settings.DELEGATION, "ISSUER": issuer}
        with override_settings(ROOT_URLCONF=module):
            found = [*checks.mounting.check_well_known(), *checks.mounting.check_languages()]
        return numbers(found)

    return mount


@pytest.fixture
def script_name():
    """Mount the site below a path; the prefix of this thread is the root again afterwards."""
    yield set_script_prefix
    set_script_prefix("/")


@pytest.mark.parametrize("issuer", ["https://as.example.com", "https://as.example.com/tenant"])
def test_check_when_endpoints_are_at_the_root_then_nothing_to_say(mounted, issuer):
    assert mounted(OURS, issuer=issuer) == []


@pytest.mark.parametrize("issuer", ["https://as.example.com", "https://as.example.com/auth"])
def test_check_when_endpoints_are_below_a_prefix_then_w015(mounted, issuer):
    assert mounted(BELOW, issuer=issuer) == ["W015"]
    assert mounted(BELOW, ROOT, issuer=issuer) == []


def test_check_when_another_view_answers_at_the_address_then_w015(mounted):
    assert mounted(ANOTHER, OURS) == ["W015"]
    assert mounted(OURS, ANOTHER) == []


def test_check_when_endpoints_are_not_mounted_then_w015(mounted, settings):
    assert mounted() == ["W015"]
    settings.ROOT_URLCONF = ModuleType("empty_urls")
    settings.ROOT_URLCONF.urlpatterns = []
    [warning] = checks.mounting.check_well_known()
    assert 'include("delegation_app.urls")' in warning.hint


def test_check_when_endpoints_depend_on_the_language_then_w016(mounted, settings):
    inside = i18n_patterns(OURS)

    assert mounted(*inside) == ["W015", "W016"]
    assert mounted(*inside, ROOT) == ["W016"]
    assert mounted(OURS, *i18n_patterns(path("blog/", lambda request: HttpResponse()))) == []


def test_check_when_the_site_is_below_a_script_name_then_w015(mounted, script_name):
    script_name("/auth/")

    found = mounted(OURS, issuer="https://as.example.com/auth")
    assert found == ["W015"]
    assert "/auth/.well-known/oauth" in checks.mounting.check_well_known()[0].hint


@pytest.mark.parametrize("issuer", [None, "", "https://[", 5])
def test_check_when_the_issuer_is_unusable_then_there_is_no_traceback(mounted, issuer):
    assert mounted(OURS, issuer=issuer) == []


def test_check_when_there_is_no_urlconf_then_nothing_to_say(settings):
    settings.ROOT_URLCONF = None

    assert checks.mounting.check_well_known() == checks.mounting.check_languages() == []
