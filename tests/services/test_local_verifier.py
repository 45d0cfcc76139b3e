"""Verifying in the process that has the tables, also inside a site's own transaction."""

import pytest
from django.db import transaction

from delegation_app.models import SigningKey
from delegation_app.protocol.errors import InvalidToken
from delegation_app.services import signing_keys
from delegation_app.services.tokens import local_verifier
from tests.support.world import SERVICE_A, SERVICE_B, Story, build_world, claims_of


@pytest.fixture
def story(transactional_db):
    world = build_world()
    return Story(world, world.alice)


def test_verify_when_inside_a_transaction_then_it_needs_none_of_its_own(story):
    token = story.tokens()["access_token"]
    signing_keys.forget()

    with transaction.atomic():
        verified = local_verifier.verify(token, SERVICE_A)

    claims = claims_of(token)
    assert verified.subject == claims["sub"] == f"user:{story.world.alice.pk}"
    assert (verified.client_id, verified.jti) == ("web", claims["jti"])
    assert verified.delegation_id == claims["delegation_id"]
    assert str(verified.scope) == claims["scope"]


def test_verify_when_there_is_no_key_yet_then_refused_and_none_is_made(story):
    token = story.tokens()["access_token"]
    SigningKey.objects.all().delete()
    signing_keys.forget()

    with transaction.atomic(), pytest.raises(InvalidToken):
        local_verifier.verify(token, SERVICE_A)
    assert not SigningKey.objects.exists()


@pytest.mark.parametrize("audience", [SERVICE_B, "", f"{SERVICE_A}/", SERVICE_A.upper()])
def test_verify_when_the_token_is_for_another_service_then_refused(story, audience):
    with pytest.raises(InvalidToken):
        local_verifier.verify(story.tokens()["access_token"], audience)


def test_verify_when_nothing_of_the_scope_is_left_then_refused(story):
    token = story.tokens()["access_token"]
    story.world.web.change(scopes="read:profile")

    with pytest.raises(InvalidToken):
        local_verifier.verify(token, SERVICE_A)
