"""Many refusals at the same moment: none is lost, and rows stay bounded."""

import pytest

from delegation_app.models import AuditEvent, DeviceCode, EventCount
from delegation_app.services import event_counts
from tests.support.world import Story

pytestmark = pytest.mark.race


def test_refusals_when_many_come_at_once_then_each_is_counted(world, crowd, settings, clock):
    settings.DELEGATION = {**settings.DELEGATION, "REFUSAL_EVENTS_PER_MINUTE": 5}
    stories = [Story(world) for _ in range(crowd.size)]
    rounds = crowd.rounds // 8
    for _ in range(rounds):
        answers = crowd.rush(
            *[lambda s=story: s.refresh("junk", world.mobile) for story in stories]
        )
        assert {answer.status_code for answer in answers} == {400}
    rows = AuditEvent.objects.filter(event="request.refused")
    assert len(rows) == 5

    clock.forward(minutes=1)
    crowd.rush(*[event_counts.write_finished] * crowd.size)

    assert sum(map(event_counts.times, rows.all())) == crowd.size * rounds
    assert len(rows.all()) == 6
    assert not EventCount.objects.exists()


def test_device_codes_when_many_start_at_once_then_no_more_than_the_limit(world, crowd, settings):
    settings.DELEGATION = {**settings.DELEGATION, "DEVICE_CODES_PER_ADDRESS": 7}
    stories = [Story(world) for _ in range(crowd.size)]
    answers = crowd.rush(*[lambda s=story: s.start() for story in stories])
    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [429] * (crowd.size - 7)
    assert DeviceCode.objects.count() == 7
