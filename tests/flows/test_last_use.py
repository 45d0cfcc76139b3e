"""Issuing a token is a use of its delegation, whatever the grant: active jobs are never idle."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from delegation_app.models import Delegation, RefreshToken
from delegation_app.services.connections import listing
from delegation_app.services.delegations.filters import DelegationFilter
from delegation_app.services.tokens import local_verifier
from tests.support.world import SERVICE_A, delegation_of

QUARTER = 90


def by_code(story):
    return story.tokens()


def by_device_code(story):
    return story.poll(story.approved()).json()


def by_client_credentials(story):
    return story.client_credentials().json()


def by_exchange(story):
    return story.exchange(story.tokens()["access_token"]).json()


GRANTS = (by_code, by_device_code, by_client_credentials, by_exchange)


@pytest.mark.parametrize("grant", GRANTS)
def test_first_token_when_issued(story, grant):
    row = delegation_of(grant(story))

    assert (row.last_used_at - row.issued_at).total_seconds() == pytest.approx(0, abs=1)
    assert row not in DelegationFilter(never_used=True).rows()


def test_code_when_it_was_not_redeemed(story):
    story.code()
    assert Delegation.objects.get() in DelegationFilter(never_used=True).rows()


def again_by_client_credentials(story, _tokens):
    story.client_credentials()


def again_by_exchange(story, tokens):
    # The subject token is a fresh one; the child is found again
    fresh = story.refresh(tokens["root"]["refresh_token"]).json()
    assert story.exchange(fresh["access_token"]).status_code == 200


def again_by_refresh(story, tokens):
    assert story.refresh(tokens["root"]["refresh_token"]).status_code == 200


@pytest.mark.parametrize(
    ("grant", "again"),
    [
        ("cron", again_by_client_credentials),
        ("child", again_by_exchange),
        ("root", again_by_exchange),
        ("root", again_by_refresh),
    ],
)
def test_delegation_when_it_is_old_and_gets_a_token(story, clock, grant, again):
    root = story.tokens()
    tokens = {
        "root": root,
        "child": story.exchange(root["access_token"]).json(),
        "cron": story.client_credentials().json(),
    }
    Delegation.objects.update(expires_at=None)
    RefreshToken.objects.update(expires_at=clock.time + timedelta(days=400))
    row = delegation_of(tokens[grant])
    # As those are that were issued before issuing counted
    Delegation.objects.update(last_used_at=None)
    clock.forward(days=100)

    idle = DelegationFilter(not_used_after=clock.time - timedelta(days=QUARTER))
    assert row in idle.rows()
    again(story, tokens)

    row.refresh_from_db()
    assert row.last_used_at == clock.time
    assert row not in idle.rows()
    assert row not in DelegationFilter(never_used=True).rows()


def test_tokens_when_many_are_issued(story, clock):
    def writes(act):
        with CaptureQueriesContext(connection) as captured:
            assert act().status_code == 200
        return sum('SET "last_used_at"' in query["sql"] for query in captured)

    token = story.tokens()["access_token"]
    assert [writes(story.client_credentials) for _ in range(3)] == [0, 0, 0]
    clock.forward(seconds=61)
    assert [writes(story.client_credentials) for _ in range(3)] == [1, 0, 0]
    story.exchange(token)
    clock.forward(seconds=61)
    # Parent and child together
    assert [writes(lambda: story.exchange(token)) for _ in range(3)] == [1, 0, 0]


def test_token_when_it_is_presented_right_after_it_was_issued(story, clock):
    tokens = story.tokens()
    assert Delegation.objects.unpresented().exists()
    clock.forward(seconds=1)
    local_verifier.verify(tokens["access_token"], SERVICE_A)
    assert not Delegation.objects.unpresented().exists()
    assert delegation_of(tokens).last_used_at == clock.time


@pytest.mark.parametrize("grant", [by_code, by_device_code])
def test_connections_when_they_show_a_use(story, world, clock, grant):
    row = delegation_of(grant(story))
    (shown,) = listing.described(listing.of_person(world.alice).filter(pk=row.pk))
    assert shown.used == row.last_used_at
