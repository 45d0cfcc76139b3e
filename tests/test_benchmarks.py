"""The benchmark of the console fills what it asks for, and every page of it answers."""

import argparse

import pytest

from benchmarks import console_pages, console_rows
from tests.admin.conftest import browser

SIZES = argparse.Namespace(delegations=300, each=2, people=20, clients=1000)


@pytest.fixture
def filled(story):
    site = console_rows.Site(SIZES)
    site.fill(story)
    site.find()
    return site


def test_console_when_a_small_site_is_filled_then_every_page_answers(filled):
    operator = browser("operator")
    for name, url in console_pages.addresses(filled).items():
        assert operator.get(url).status_code == 200, name
    # All that is revoked by the plan, and nothing else
    revoked = operator.get(console_pages._list(state="revoked")).context["cl"].result_list
    assert len(revoked) == SIZES.delegations // console_rows._REVOKED
