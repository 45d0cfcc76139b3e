"""The benchmark of the console fills what it asks for, and every page of it answers."""

import argparse

import pytest

from benchmarks import console_pages, console_rows, refusals
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


def test_refusals_when_measured_on_a_small_scale_then_each_is_cheap_and_counted(story, capsys):
    refusals.prepare(story)
    for name, acts in refusals._cases(story).items():
        for kind, act in acts.items():
            assert act().status_code < 500, (name, kind)
    refusals.cost(story, 3)
    added = refusals.growth(story, 3)
    printed = capsys.readouterr().out
    assert all(name in printed for name in added)
    # Each table is looked at, and what is bounded elsewhere is not bounded yet by so few
    assert added["no client"]["delegation_app_auditevent"] > 0
    assert not any(rows["delegation_app_delegation"] for rows in added.values())
