"""Keys that a process does not know yet, or that are gone: what they signed is still ours."""

from types import SimpleNamespace

import jwt
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from delegation_app.models import AccessToken, AuditEvent, SigningKey
from delegation_app.protocol import jose, jwk
from delegation_app.services import audit, signing_keys
from delegation_app.services.tokens import local_verifier
from tests.support.world import SERVICE_A, claims_of

OPERATOR = audit.RequestContext("user:99")


def published(story):
    return {key["kid"]: key for key in story.wire.get("/oauth/jwks").json()["keys"]}


def kid_of(token):
    return jwt.get_unverified_header(token)["kid"]


def rotated_elsewhere(**options):
    """Another process rotates: this one's memory stays as it is."""
    options = {"force": True, "withdraw": False, **options}
    return signing_keys._rotate(OPERATOR, **options).kid


@pytest.fixture
def two_withdrawals(story):
    """A token signed with a key that was not published when this process read the keys."""
    published(story)
    before = signing_keys._memory.known
    for _ in range(2):
        rotated_elsewhere(withdraw=True)
    tokens = story.tokens()
    assert kid_of(tokens["access_token"]) not in before.published
    signing_keys._memory.known = before
    return tokens


def is_verified(story, token):
    return local_verifier.verify(token, SERVICE_A).jti == claims_of(token)["jti"]


@pytest.mark.parametrize("act", ["introspect", "exchange", "verify", "revoke"])
def test_unknown_kid_when_two_keys_were_withdrawn_then_the_keys_are_read_again(
    story, two_withdrawals, act
):
    token = two_withdrawals["access_token"]
    acts = {
        "introspect": story.is_active,
        "exchange": lambda token: story.exchange(token).status_code == 200,
        "verify": lambda token: is_verified(story, token),
        "revoke": lambda token: story.revoke(token).status_code == 200,
    }
    assert acts[act](token)
    assert story.is_active(token) == (act != "revoke")


def test_unknown_kid_when_made_up_then_the_keys_are_read_once_a_second(story, monkeypatch):
    now = 1000.0
    monkeypatch.setattr(signing_keys, "time", SimpleNamespace(monotonic=lambda: now))
    published(story)
    with CaptureQueriesContext(connection) as captured:
        for number in range(20):
            assert signing_keys.key_for(f"made-up-{number}") is None
    assert len(captured) == 1
    now += 1
    with CaptureQueriesContext(connection) as captured:
        signing_keys.key_for("made-up")
    assert len(captured) == 1


def test_unknown_kid_when_the_keys_were_read_a_moment_ago_then_they_are_still_read_again(story):
    published(story)
    before = signing_keys._memory.known
    kid = rotated_elsewhere()
    new = SigningKey.objects.get(state="next").kid
    assert signing_keys._memory.known is before
    assert kid in before.published
    assert signing_keys.key_for(new) is not None


def test_revocation_when_the_key_is_gone_then_the_owner_can_give_its_token_back(story):
    tokens = story.tokens()
    token, world = tokens["access_token"], story.world
    signing_keys.rotate(OPERATOR, withdraw=True)
    row = AccessToken.objects.get(jti=claims_of(token)["jti"])

    # Nobody else learns that there is such a token, or ends it
    stranger = story.revoke(token, world.other)
    unknown = story.revoke("unknown", world.other)
    assert (stranger.status_code, stranger.content) == (unknown.status_code, unknown.content)
    row.refresh_from_db()
    assert row.revoked_at is None

    assert story.revoke(token).status_code == 200
    row.refresh_from_db()
    assert row.revoked_at is not None
    assert AuditEvent.objects.filter(event="token.revoked", jti=row.jti).count() == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda head, body, end: f"{head}.{body}.{end[:-4]}AAAA",
        lambda head, body, end: f"{head}.{body}.",
        lambda head, body, end: f"{head}.{body}",
        lambda head, body, end: f"{body}.{body}.{end}",
    ],
)
def test_revocation_when_the_key_is_known_and_the_signature_wrong_then_nothing_ends(story, change):
    token = story.tokens()["access_token"]
    assert story.revoke(change(*token.split("."))).status_code == 200
    assert story.is_active(token)


@pytest.mark.parametrize(
    ("claim", "value"),
    [("iss", "https://evil.example"), ("jti", "short"), ("jti", 7), ("jti", None)],
)
def test_revocation_when_the_key_is_unknown_and_the_token_none_of_ours_then_nothing_ends(
    story, claim, value
):
    token = story.tokens()["access_token"]
    private = jwk.generate("ES256")
    forged = jose.sign(
        {**claims_of(token), claim: value},
        jose.SigningIdentity("unknown", "ES256", private),
        typ="at+jwt",
    )
    assert story.revoke(forged).status_code == 200
    assert story.is_active(token)
