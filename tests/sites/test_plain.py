"""The site that all others differ from."""

import pytest

from tests.sites.site import EXPECTED

pytestmark = pytest.mark.slow


def test_site_when_it_is_plain_then_everything_works_and_no_check_complains(build):
    site = build.site()

    assert site.check() == []
    site.migrated()
    assert site.check("--database", "default") == []
    assert site.story() == EXPECTED
