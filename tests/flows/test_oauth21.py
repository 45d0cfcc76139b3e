"""Where OAuth 2.1 differs from RFC 6749, for what no other module of these tests is about."""

import pytest

from delegation_app.models import Delegation
from tests.support.world import VERIFIER


@pytest.mark.conformance("OT-05")
def test_client_secret_when_in_the_header_or_in_the_body_then_both_work(story):
    web = story.world.web
    assert story.redeem(story.code()).status_code == 200
    in_body = {
        "grant_type": "authorization_code",
        "code": story.code(),
        "code_verifier": VERIFIER,
        "client_id": web.client_id,
        "client_secret": web.secret,
    }
    assert story.post("/oauth/token", in_body).status_code == 200
    wrong = {**in_body, "code": story.code(), "client_secret": web.secret + "x"}
    assert story.post("/oauth/token", wrong).json()["error"] == "invalid_client"


@pytest.mark.conformance("OT-06")
@pytest.mark.parametrize("app", ["mobile", "web"])
def test_refresh_token_when_replayed_then_the_whole_grant_ends(story, clock, app):
    app = getattr(story.world, app)
    first = story.tokens(app)
    second = story.refresh(first["refresh_token"], app).json()
    clock.forward(seconds=61)
    assert story.is_active(second["access_token"])
    replayed = story.refresh(first["refresh_token"], app)
    assert (replayed.status_code, replayed.json()["error"]) == (400, "invalid_grant")
    successor = story.refresh(second["refresh_token"], app)
    assert (successor.status_code, successor.json()["error"]) == (400, "invalid_grant")
    for tokens in (first, second):
        assert not story.is_active(tokens["access_token"])
    assert Delegation.objects.get().revocation_reason == "refresh token reused"


@pytest.mark.conformance("OT-07")
@pytest.mark.parametrize("verifier", [None, "a" * 43, VERIFIER[:-1]])
def test_code_when_replayed_without_its_proof_then_nothing_is_revoked(story, verifier):
    code = story.code(story.world.mobile)
    tokens = story.redeem(code, story.world.mobile).json()
    replayed = story.redeem(code, story.world.mobile, code_verifier=verifier)
    assert replayed.json()["error"] == "invalid_grant"
    assert story.is_active(tokens["access_token"])
    # With the proof it is the client itself, or whoever has all that it has
    story.redeem(code, story.world.mobile)
    assert not story.is_active(tokens["access_token"])


@pytest.mark.conformance("OT-10")
def test_token_answer_when_good_or_bad_then_nobody_may_store_it(story):
    good = story.redeem(story.code())
    bad = story.redeem("x")
    assert (good.status_code, bad.status_code) == (200, 400)
    for answer in (good, bad):
        assert answer["Cache-Control"] == "no-store"
