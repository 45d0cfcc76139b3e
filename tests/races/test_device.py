"""A device code under concurrency: one answer, one set of tokens, and revocation wins."""

from functools import partial

import pytest
from django.utils import timezone

from delegation_app.models import (
    AccessToken,
    ConsentRecord,
    Delegation,
    DeviceCode,
    RefreshToken,
)
from delegation_app.protocol.errors import InvalidRequest
from delegation_app.protocol.requests.parameters import Parameters
from delegation_app.services import audit
from delegation_app.services.clients import lookup
from delegation_app.services.consent import decision
from delegation_app.services.consent.decision import Answer
from delegation_app.services.delegations import revocation
from delegation_app.services.delegations.terms import SignIn
from delegation_app.services.device import start, verification
from tests.races.crowd import after, head_starts
from tests.support.world import Story

pytestmark = pytest.mark.race
OPERATOR = audit.RequestContext(actor="user:9")


def waiting(world):
    """A device that waits, and its code."""
    asked = Parameters([("scope", "read:metrics write:alerts")])
    started = start.start(lookup.find("tv"), asked, audit.RequestContext())
    person = SignIn(world.alice, timezone.now(), "1")
    return verification.find(started.user_code, person, audit.RequestContext()), started.device_code


def allow(question):
    try:
        return decision.decide(question, Answer(question.scope), audit.RequestContext())
    except InvalidRequest:
        return None


def deny(question):
    try:
        decision.decide(question, Answer(is_denial=True), audit.RequestContext())
    except InvalidRequest:
        return None
    return True


def approved(world):
    """A device code that alice has just allowed."""
    question, device_code = waiting(world)
    assert allow(question)
    return device_code


@pytest.mark.conformance("DV-07")
def test_code_when_polled_by_many_at_once_then_exactly_one_gets_tokens(world, crowd):
    stories = [Story(world) for _ in range(crowd.size)]
    for _ in range(crowd.rounds // 5):
        code = approved(world)
        # On a busy machine some come so late that they would count as a retry
        DeviceCode.objects.update(interval=600)
        responses = crowd.rush(*[partial(story.poll, code) for story in stories])

        assert sorted(r.status_code for r in responses) == [200] + [400] * (crowd.size - 1)
        refused = [r.json() for r in responses if r.status_code == 400]
        assert {r["error"] for r in refused} == {"invalid_grant"}
        delegation = Delegation.objects.latest("id")
        assert AccessToken.objects.filter(delegation=delegation).count() == 1
        assert RefreshToken.objects.filter(delegation=delegation).count() == 1
        assert delegation.revoked_at is None


@pytest.mark.conformance("DV-04")
def test_code_when_polled_by_many_before_the_answer_then_each_is_counted(world, crowd):
    stories = [Story(world) for _ in range(crowd.size)]
    for _ in range(crowd.rounds // 5):
        _question, code = waiting(world)
        responses = crowd.rush(*[partial(story.poll, code) for story in stories])

        errors = sorted(response.json()["error"] for response in responses)
        assert errors == ["authorization_pending"] + ["slow_down"] * (crowd.size - 1)
        assert DeviceCode.objects.latest("id").interval == 5 + 5 * (crowd.size - 1)


def test_question_when_answered_by_many_at_once_then_one_answer_counts(world, crowd):
    answers = [allow, deny] * (crowd.size // 2)
    won = set()
    for _ in range(crowd.rounds // 5):
        question, code = waiting(world)
        before = ConsentRecord.objects.count(), Delegation.objects.count()
        given = crowd.rush(*[partial(answer, question) for answer in answers])

        assert sum(answer is not None for answer in given) == 1
        row = DeviceCode.objects.get(pk=question.device.pk)
        allowed = row.approved_at is not None
        won.add(allowed)
        assert allowed == (row.denied_at is None) == (row.delegation is not None)
        assert ConsentRecord.objects.count() == before[0] + 1
        assert Delegation.objects.count() == before[1] + allowed
        assert Story(world).poll(code).status_code == (200 if allowed else 400)


def test_approval_when_beside_a_denial_then_exactly_one_wins(world, crowd):
    won = set()
    for head_start in head_starts(crowd.rounds):
        question, code = waiting(world)
        allowed, denied = crowd.rush(
            after(-head_start, partial(allow, question)),
            after(head_start, partial(deny, question)),
        )

        assert (allowed is None) != (denied is None)
        won.add(bool(allowed))
        answer = Story(world).poll(code)
        assert answer.status_code == (200 if allowed else 400)
        if denied:
            assert answer.json()["error"] == "access_denied"
    assert won == {True, False}


@pytest.mark.conformance("DV-14")
def test_poll_when_beside_a_revocation_then_nothing_of_it_survives(world, crowd):
    story = Story(world)
    won = set()
    for head_start in head_starts(crowd.rounds):
        code = approved(world)
        delegation = Delegation.objects.latest("id")
        polled, ended = crowd.rush(
            after(-head_start, partial(story.poll, code)),
            after(head_start, partial(revocation.subtree, delegation, OPERATOR, reason="race")),
        )

        assert ended == 1
        won.add(polled.status_code)
        if polled.status_code == 400:
            assert polled.json()["error"] == "invalid_grant"
            assert not AccessToken.objects.filter(delegation=delegation).exists()
            assert DeviceCode.objects.latest("id").consumed_at is None
        else:
            tokens = polled.json()
            assert story.introspect(tokens["access_token"]).json() == {"active": False}
            assert story.refresh(tokens["refresh_token"], world.tv).status_code == 400
    assert won == {200, 400}


def test_poll_when_beside_the_approval_then_pending_or_tokens(world, crowd):
    story = Story(world)
    seen = set()
    for head_start in head_starts(crowd.rounds):
        question, code = waiting(world)
        polled, allowed = crowd.rush(
            after(-head_start, partial(story.poll, code)),
            after(head_start, partial(allow, question)),
        )

        assert allowed
        seen.add(polled.status_code)
        if polled.status_code == 400:
            assert polled.json()["error"] == "authorization_pending"
            assert story.poll(code).status_code == 200
        assert AccessToken.objects.filter(delegation__device_codes=question.device.pk).count() == 1
    assert seen == {200, 400}


@pytest.mark.conformance("DV-08")
def test_wrong_codes_when_typed_by_many_at_once_then_no_more_than_the_limit_are_looked_up(
    world, crowd
):
    stories = [Story(world, world.alice) for _ in range(crowd.size)]
    pages = crowd.rush(*[partial(story.enter, "BBBB-BBBB") for story in stories])

    looked_up = [page.status_code for page in pages].count(400)
    assert 1 <= looked_up <= 5
    assert {page.status_code for page in pages} == {400, 429}
