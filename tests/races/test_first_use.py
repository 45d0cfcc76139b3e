"""What is made on first use is made once."""

from functools import partial
from urllib.parse import urlencode

import pytest

from delegation_app.models import AuditEvent, ConsentRecord, Delegation, SigningKey
from delegation_app.protocol.errors import InvalidRequest
from delegation_app.services import audit, signing_keys
from delegation_app.services.consent import decision
from tests.races.crowd import question
from tests.support.world import FORM, Story

pytestmark = pytest.mark.race


def test_client_credentials_when_first_asked_by_many_at_once_then_one_delegation(world, crowd):
    stories = [Story(world) for _ in range(crowd.size)]
    for _ in range(crowd.rounds // 5):
        Delegation.objects.update(terms_digest="of another round")
        responses = crowd.rush(
            *[lambda s=story: s.client_credentials(scope="read:metrics") for story in stories]
        )

        assert {r.status_code for r in responses} == {200}
        fresh = Delegation.objects.exclude(terms_digest="of another round")
        assert fresh.count() == 1
        assert fresh.get().access_tokens.count() == crowd.size


def test_signing_keys_when_first_needed_by_many_at_once_then_one_signs_and_one_follows(
    world, crowd
):
    for _ in range(crowd.rounds // 5):
        SigningKey.objects.all().delete()
        signing_keys.forget()
        signers = crowd.rush(*[signing_keys.signer] * crowd.size)

        assert len({signer.kid for signer in signers}) == 1
        assert sorted(SigningKey.objects.values_list("state", flat=True)) == ["active", "next"]


def test_consent_when_answered_by_many_at_once_then_one_record_and_one_code(world, crowd):
    def answer(asked):
        try:
            return decision.decide(asked, decision.Answer(asked.scope), audit.RequestContext())
        except InvalidRequest:
            return None

    for _ in range(crowd.rounds // 5):
        asked = question(world)
        before = ConsentRecord.objects.count(), Delegation.objects.count()
        codes = crowd.rush(*[partial(answer, asked)] * crowd.size)

        assert sum(code is not None for code in codes) == 1
        after = ConsentRecord.objects.count(), Delegation.objects.count()
        assert after == (before[0] + 1, before[1] + 1)


def test_rotation_when_asked_by_many_at_once_then_each_kid_signs_once(world, crowd):
    def rotate():
        return signing_keys.rotate(audit.RequestContext(actor="user:1"), force=True).kid

    rotated = crowd.rush(*[rotate] * 8)

    assert len(set(rotated)) == 8
    assert SigningKey.objects.filter(state="active").count() == 1
    assert SigningKey.objects.filter(state="next").count() == 1
    assert AuditEvent.objects.filter(event="key.rotated").count() == 8


def test_wrong_secret_when_tried_by_many_at_once_then_every_failure_is_counted(
    world, crowd, settings
):
    settings.DELEGATION = {**settings.DELEGATION, "FAILED_AUTHENTICATIONS_PER_MINUTE": crowd.size}
    body = urlencode({"grant_type": "client_credentials", "client_id": "x", "client_secret": "y"})
    stories = [Story(world) for _ in range(crowd.size)]

    def attempt(story):
        return story.wire.post("/oauth/token", body, content_type=FORM).status_code

    assert set(crowd.rush(*[lambda s=s: attempt(s) for s in stories])) == {401}
    assert attempt(stories[0]) == 429
