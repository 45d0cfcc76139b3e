"""Guarantees 2, 3 and 6 of an authorization code, under concurrency."""

from functools import partial

import pytest

from delegation_app.models import AccessToken, AuthorizationCode, Delegation, RefreshToken
from delegation_app.services import audit
from delegation_app.services.delegations import revocation
from tests.races.crowd import after, head_starts, new_code
from tests.support.world import Story

pytestmark = pytest.mark.race
OPERATOR = audit.RequestContext(actor="user:9")


@pytest.mark.conformance("TK-08")
def test_code_when_redeemed_by_many_at_once_then_exactly_one_gets_tokens(world, crowd):
    stories = [Story(world) for _ in range(crowd.size)]
    for _ in range(crowd.rounds):
        code = new_code(world)
        responses = crowd.rush(*[lambda s=story, c=code: s.redeem(c) for story in stories])

        assert sorted(r.status_code for r in responses) == [200] + [400] * (crowd.size - 1)
        refused = [r.json() for r in responses if r.status_code == 400]
        assert {r["error"] for r in refused} == {"invalid_grant"}
        delegation = Delegation.objects.latest("id")
        assert AccessToken.objects.filter(delegation=delegation).count() == 1
        assert RefreshToken.objects.filter(delegation=delegation).count() == 1
        # Every other caller was a replay that proved itself.
        assert delegation.revoked_at is not None


@pytest.mark.conformance("DG-05")
def test_code_when_redeemed_beside_a_revocation_then_nothing_of_it_survives(world, crowd):
    story = Story(world)
    won = set()
    for head_start in head_starts(crowd.rounds):
        code = new_code(world)
        delegation = Delegation.objects.latest("id")
        redeemed, ended = crowd.rush(
            after(-head_start, partial(story.redeem, code)),
            after(head_start, partial(revocation.subtree, delegation, OPERATOR, reason="race")),
        )

        assert ended == 1
        assert redeemed.status_code in {200, 400}
        won.add(redeemed.status_code)
        if redeemed.status_code == 400:
            assert redeemed.json()["error"] == "invalid_grant"
            assert not AccessToken.objects.filter(delegation=delegation).exists()
            assert AuthorizationCode.objects.get(delegation=delegation).consumed_at is None
        else:
            tokens = redeemed.json()
            assert story.introspect(tokens["access_token"]).json() == {"active": False}
            assert story.refresh(tokens["refresh_token"]).status_code == 400
    # Both orders came up, so the race was one.
    assert won == {200, 400}
