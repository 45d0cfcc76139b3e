"""The site that all others differ from."""

import pytest

from tests.sites.site import APPS, EXPECTED, URLS

pytestmark = [pytest.mark.slow, pytest.mark.compat]


def test_site_when_it_is_plain_then_everything_works_and_no_check_complains(build):
    site = build.site()

    assert site.check() == []
    site.migrated()
    assert site.check("--database", "default") == []
    assert site.story() == EXPECTED


def test_site_without_the_toolkit_is_told_what_to_install(build):
    site = build.site(INSTALLED_APPS=[app for app in APPS if app != "oauth2_provider"])

    result = site._run(["-m", "django", "check"], {})

    assert result.returncode == 1
    assert 'Add "oauth2_provider" to INSTALLED_APPS' in result.stderr


def test_site_when_it_runs_the_toolkit_already_then_both_work(build):
    registry = "oauth2_provider.apps.DOTConfig"
    toolkit = 'path("o/", include("oauth2_provider.urls")),\n    path("", include'
    site = build.site(
        INSTALLED_APPS=[registry, *(app for app in APPS if app != "oauth2_provider")],
        urls=URLS.replace('path("", include', toolkit),
    ).migrated()

    assert site.check("--database", "default") == []
    assert site.story() == EXPECTED
