"""A status list beside whoever revokes: once a revocation was told, no list denies it."""

from functools import partial

import pytest

from delegation_app.services import audit
from delegation_app.services.delegations import revocation
from delegation_app.services.status_lists import cache
from tests.races.crowd import after, head_starts, new_root
from tests.support.statuses import reference, status
from tests.support.world import Story

pytestmark = pytest.mark.race
ASKING = 4


@pytest.mark.conformance("SL-20", "DG-05")
def test_list_when_made_beside_a_revocation_then_it_is_marked_as_soon_as_that_is_told(world, crowd):
    stories = [Story(world) for _ in range(ASKING)]
    for head_start in head_starts(crowd.rounds):
        row, answer = new_root(world.alice)
        token = answer["access_token"]
        path, _ = reference(token)
        # Or the list that was made for the round before would do
        cache.changed()

        *asked, ended = crowd.rush(
            *(after(-head_start, partial(story.wire.get, path)) for story in stories),
            after(
                head_start, partial(revocation.subtree, row, audit.RequestContext(), reason="test")
            ),
        )

        assert {response.status_code for response in asked} == {200}
        assert ended == 1
        assert status(stories[0], token) == 1
        # A process that knows of nothing but the cache
        cache.forget()
        assert status(stories[0], token) == 1
