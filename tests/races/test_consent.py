"""One consent page answered by many requests at once: one answer, which all of them get."""

from functools import partial

import pytest

from delegation_app.models import AuthorizationCode, ConsentRecord, Delegation
from tests.support.world import Story, redirected

pytestmark = pytest.mark.race


def same_browser(story):
    """Another connection of the same browser."""
    copy = Story(story.world)
    for name, cookie in story.browser.cookies.items():
        copy.browser.cookies[name] = cookie.value
    return copy


@pytest.mark.parametrize("decision", ["allow", "deny"])
def test_answer_when_sent_many_times_at_once_then_all_get_the_first_one(world, crowd, decision):
    story = Story(world, world.alice)
    for _ in range(crowd.rounds // 8):
        page = story.authorize(prompt="consent")
        before = ConsentRecord.objects.count(), Delegation.objects.count()
        browsers = [same_browser(story) for _ in range(crowd.size)]
        calls = [partial(one.answer, page, decision) for one in browsers]
        answers = [redirected(response) for response in crowd.rush(*calls)]
        assert len({tuple(sorted(answer.items())) for answer in answers}) == 1
        made = int(decision == "allow")
        assert ConsentRecord.objects.count() == before[0] + 1
        assert Delegation.objects.count() == before[1] + made
        assert AuthorizationCode.objects.count() == before[1] + made
        if made:
            assert story.redeem(answers[0]["code"]).status_code == 200
