"""Attacks on authorization codes: group A of the threat list."""

import secrets

import pytest

from delegation_app.models import AccessToken, AuthorizationCode
from delegation_app.protocol.pkce import challenge_for
from tests.support.answers import nothing_stored, recorded, refusal_recorded, refused
from tests.support.world import CHALLENGE, REDIRECT_URI, VERIFIER, redirected

ISSUER = "https://as.example.com"


@pytest.mark.parametrize("seconds", [0, 1, 30])
def test_a2_code_when_replayed_then_what_it_gave_is_dead_before_the_refusal_is_told(
    story, world, clock, seconds
):
    code = story.code()
    first = story.redeem(code).json()
    clock.forward(seconds=seconds)
    with recorded("delegation.revoked"):
        refused(story.redeem(code), "invalid_grant")
    assert story.introspect(first["access_token"]).json() == {"active": False}
    assert story.introspect(first["refresh_token"], world.web).json() == {"active": False}
    assert AccessToken.objects.count() == 1


@pytest.mark.parametrize(
    "redirect_uri",
    [
        "https://evil.example.com/",
        REDIRECT_URI.replace("/callback", "/%63allback"),
        REDIRECT_URI.replace("web", "WEB"),
        REDIRECT_URI + "?",
        REDIRECT_URI + "#",
        REDIRECT_URI + "%20",
        REDIRECT_URI + " ",
        REDIRECT_URI[:-1],
    ],
)
def test_a4_redirect_uri_when_changed_or_encoded_otherwise_then_no_tokens(story, redirect_uri):
    code = story.code()
    with refusal_recorded("invalid_grant"):
        refused(story.redeem(code, redirect_uri=redirect_uri), "invalid_grant")


# 42 and 129 characters are outside RFC 7636 section 4.1, 43 and 128 inside
@pytest.mark.parametrize(
    "verifier",
    [
        None,
        "",
        "wrong",
        CHALLENGE,
        VERIFIER[:-1],
        VERIFIER + "A",
        VERIFIER.swapcase(),
        VERIFIER + "=",
        " " + VERIFIER,
        VERIFIER + "\n",
        "é" * 43,
        "\uff41" * 43,
    ],
)
def test_a5_verifier_when_missing_or_wrong_then_no_tokens(story, verifier):
    code = story.code()
    with refusal_recorded("invalid_grant"):
        refused(story.redeem(code, code_verifier=verifier), "invalid_grant")
    # The guess did not spend the code of the rightful client.
    assert story.redeem(code).status_code == 200


def test_a5_verifier_when_it_belongs_to_another_code_of_the_same_client_then_no_tokens(story):
    mine = secrets.token_urlsafe(32)
    injected = story.code()
    story.code(code_challenge=challenge_for(mine))
    with refusal_recorded("invalid_grant"):
        refused(story.redeem(injected, code_verifier=mine), "invalid_grant")


@pytest.mark.parametrize("length", [1, 42, 43, 128, 129, 4096])
def test_a7_verifier_when_too_short_or_too_long_then_no_tokens(story, length):
    verifier = "v" * length
    code = story.code(code_challenge=challenge_for(verifier))
    response = story.redeem(code, code_verifier=verifier)
    if 43 <= length <= 128:
        assert response.status_code == 200
    else:
        refused(response, "invalid_grant")


@pytest.mark.parametrize(
    "method", ["plain", None, "", "s256", "S256 ", "S512", "none", "S256,plain"]
)
def test_a7_challenge_method_when_it_is_not_s256_then_no_code(story, method):
    with nothing_stored():
        answer = redirected(story.authorize(code_challenge_method=method))
    assert answer["error"] == "invalid_request"
    assert answer["iss"] == ISSUER


def test_a7_plain_when_the_challenge_is_the_verifier_then_no_tokens(story):
    # What a server that compares without hashing would accept
    code = story.code(code_challenge=VERIFIER)
    with refusal_recorded("invalid_grant"):
        refused(story.redeem(code, code_verifier=VERIFIER), "invalid_grant")


def test_a8_code_when_61_seconds_old_then_no_tokens(story, clock):
    code = story.code()
    clock.forward(seconds=61)
    with refusal_recorded("invalid_grant"):
        refused(story.redeem(code), "invalid_grant")


def mutations(token):
    """Other spellings of a token that a lenient comparison would take for it."""
    yield from (token[:-drop] for drop in (1, 2, 3, 10, len(token) // 2))
    yield from (token + more for more in ("=", "==", " ", "A", ".", "\t", "\r\n", "\u200b"))
    yield from (" " + token, token.swapcase(), token.upper(), token.lower(), token[::-1])
    yield token[:-1] + chr(ord(token[-1]) ^ 1)
    yield from (token.replace(token[5], "%" + f"{ord(token[5]):02x}", 1), token[0] * len(token))
    yield token + ", " + token


@pytest.mark.parametrize("kind", ["code", "refresh_token", "access_token", "opaque"])
def test_a10_secret_when_cut_lengthened_or_respelled_then_it_is_worth_nothing(story, world, kind):
    if kind == "opaque":
        world.service_a.token_format = "opaque"
        world.service_a.save()
    code = story.code()
    secret = code
    if kind != "code":
        tokens = story.redeem(code).json()
        secret = tokens["refresh_token" if kind == "refresh_token" else "access_token"]
    others = [text for text in mutations(secret) if text != secret]
    assert len(others) > 18
    with nothing_stored():
        for text in others:
            if kind == "code":
                refused(story.redeem(text), "invalid_grant")
            elif kind == "refresh_token":
                refused(story.refresh(text), "invalid_grant")
            else:
                assert story.introspect(text).json() == {"active": False}
            # Nor does one of them revoke the real one.
            assert story.revoke(text).status_code == 200
    if kind == "code":
        assert story.redeem(secret).status_code == 200
    elif kind == "refresh_token":
        assert story.refresh(secret).status_code == 200
    else:
        assert story.is_active(secret)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({}, None),
        ({"scope": "unknown"}, "invalid_scope"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"resource": "https://unknown.example.com"}, "invalid_target"),
        ({"prompt": "none"}, "consent_required"),
    ],
)
def test_a11_answer_when_success_or_error_then_it_names_the_issuer(story, changes, error):
    page = story.authorize(**changes)
    answer = redirected(page if error else story.answer(page))
    assert answer["iss"] == ISSUER
    assert answer["state"] == "af0ifjsldkj"
    assert answer.get("error") == error
    assert ("code" in answer) == (error is None)


def test_code_when_it_is_confused_with_another_kind_of_secret_then_no_tokens(story):
    code = story.code()
    tokens = story.tokens()
    for text in (
        tokens["refresh_token"],
        tokens["access_token"],
        AuthorizationCode.objects.first().digest,
    ):
        with refusal_recorded("invalid_grant"):
            refused(story.redeem(text), "invalid_grant")
    with refusal_recorded("invalid_grant"):
        refused(story.refresh(code), "invalid_grant")


def test_code_when_the_person_did_not_untick_then_the_token_request_can_not_add_scope(story):
    code = story.code(scopes=["read:metrics"])
    answer = story.redeem(code, scope="read:metrics write:alerts delete:alerts").json()
    assert answer["scope"] == "read:metrics"


def test_code_when_the_client_lost_a_scope_meanwhile_then_the_token_is_narrower(story, world):
    code = story.code()
    world.web.change(scopes="read:metrics")
    assert story.redeem(code).json()["scope"] == "read:metrics"


def test_code_when_the_client_lost_every_scope_meanwhile_then_no_tokens(story, world):
    code = story.code()
    world.web.change(scopes="read:profile")
    with refusal_recorded("invalid_scope"):
        refused(story.redeem(code), "invalid_scope")


def test_code_when_the_service_was_closed_meanwhile_then_no_tokens(story, world):
    code = story.code()
    world.service_a.active = False
    world.service_a.save()
    with refusal_recorded("invalid_target"):
        refused(story.redeem(code), "invalid_target")
