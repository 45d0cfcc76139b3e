"""Guarantees 3 to 6 of a refresh token, under concurrency."""

from functools import partial

import pytest

from delegation_app.models import Delegation, RefreshToken
from tests.races.crowd import after, head_starts, new_code
from tests.support.world import Story

pytestmark = pytest.mark.race


@pytest.mark.conformance("RT-11")
def test_refresh_when_sent_by_many_at_once_then_all_get_the_one_successor(world, crowd, settings):
    # On a busy machine some wait for longer than the usual ten seconds
    settings.DELEGATION = {**settings.DELEGATION, "REFRESH_RETRY_WINDOW": 120}
    stories = [Story(world) for _ in range(crowd.size)]
    current = stories[0].redeem(new_code(world)).json()["refresh_token"]
    for _ in range(crowd.rounds):
        responses = crowd.rush(*[lambda s=story, t=current: s.refresh(t) for story in stories])

        assert {r.status_code for r in responses} == {200}
        successors = {r.json()["refresh_token"] for r in responses}
        assert len(successors) == 1
        assert RefreshToken.objects.filter(consumed_at=None).count() == 1
        current = successors.pop()
    assert RefreshToken.objects.count() == crowd.rounds + 1


def test_refresh_when_strict_and_sent_by_many_at_once_then_exactly_one_succeeds(
    world, crowd, settings
):
    settings.DELEGATION = {**settings.DELEGATION, "REFRESH_RETRY_WINDOW": 0}
    stories = [Story(world) for _ in range(crowd.size)]
    for _ in range(crowd.rounds):
        token = stories[0].redeem(new_code(world)).json()["refresh_token"]
        responses = crowd.rush(*[lambda s=story, t=token: s.refresh(t) for story in stories])

        assert sorted(r.status_code for r in responses) == [200] + [400] * (crowd.size - 1)
        # RFC 9700 section 4.14.2: the others were reuse
        assert Delegation.objects.latest("id").revoked_at is not None


@pytest.mark.conformance("DG-05")
def test_refresh_when_beside_a_revocation_then_nothing_of_it_survives(world, crowd):
    story, other = Story(world), Story(world)
    won = set()
    for head_start in head_starts(crowd.rounds):
        first = story.redeem(new_code(world)).json()
        refreshed, revoked = crowd.rush(
            after(-head_start, partial(story.refresh, first["refresh_token"])),
            after(head_start, partial(other.revoke, first["refresh_token"])),
        )

        assert revoked.status_code == 200
        assert refreshed.status_code in {200, 400}
        won.add(refreshed.status_code)
        tokens = [first] + ([refreshed.json()] if refreshed.status_code == 200 else [])
        for answer in tokens:
            assert story.introspect(answer["access_token"]).json() == {"active": False}
            assert story.refresh(answer["refresh_token"]).json()["error"] == "invalid_grant"
    assert won == {200, 400}
