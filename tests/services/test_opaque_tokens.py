"""A resource server may ask for opaque tokens; they are looked up, never read."""

import pytest

from delegation_app.models import AccessToken, ResourceServer
from delegation_app.protocol.errors import InvalidToken
from delegation_app.protocol.secrets import OPAQUE_LENGTH, digest
from delegation_app.services.tokens import local_verifier
from tests.support.world import SERVICE_A, SERVICE_B


@pytest.fixture
def opaque(story):
    ResourceServer.objects.filter(identifier=SERVICE_A).update(token_format="opaque")
    return story.tokens()


def test_token_when_opaque_then_it_says_nothing_and_only_its_digest_is_stored(opaque):
    token = opaque["access_token"]

    assert len(token) == OPAQUE_LENGTH
    assert "." not in token
    assert AccessToken.objects.get().digest == digest(token)


def test_token_when_opaque_then_introspected_verified_refreshed_and_revoked(story, opaque):
    token = opaque["access_token"]
    answer = story.introspect(token).json()
    assert (answer["active"], answer["aud"]) == (True, SERVICE_A)
    assert answer["jti"] == AccessToken.objects.get().jti
    assert local_verifier.verify(token, SERVICE_A).delegation_id == answer["delegation_id"]
    with pytest.raises(InvalidToken):
        local_verifier.verify(token, SERVICE_B)

    assert story.revoke(token).status_code == 200
    assert story.introspect(token).json() == {"active": False}
    assert len(story.refresh(opaque["refresh_token"]).json()["access_token"]) == OPAQUE_LENGTH


def test_token_when_its_stored_jti_or_digest_is_presented_then_not_active(story, opaque):
    row = AccessToken.objects.get()

    for stolen in (row.jti, row.digest, opaque["access_token"][:-1], opaque["access_token"] + "A"):
        assert story.introspect(stolen).json() == {"active": False}


def test_token_when_jwt_row_is_presented_as_opaque_then_not_active(story):
    story.tokens()
    row = AccessToken.objects.get()

    assert story.introspect(row.jti).json() == {"active": False}
