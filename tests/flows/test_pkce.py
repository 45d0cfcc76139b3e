"""Proof key for code exchange: always, S256 only, and bound to the code on the server."""

import base64
import hashlib
import secrets

import pytest

from delegation_app.models import AccessToken, AuthorizationCode
from delegation_app.protocol import pkce
from tests.support.world import CHALLENGE, VERIFIER, redirected

UNRESERVED = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"


def challenge_for(verifier):
    """Computed here, so that the server is not compared with itself."""
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


@pytest.mark.conformance("PK-11")
def test_vector_of_the_rfc_when_used_then_tokens(story):
    code = story.code(
        code_challenge="E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", code_challenge_method="S256"
    )
    answer = story.redeem(code, code_verifier="dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
    assert answer.status_code == 200


@pytest.mark.conformance("PK-01", "OT-01")
@pytest.mark.parametrize("app", ["mobile", "web"])
@pytest.mark.parametrize("method", [None, "S256", "plain"])
def test_challenge_when_missing_then_invalid_request_for_every_client(story, app, method):
    app = getattr(story.world, app)
    answer = redirected(story.authorize(app, code_challenge=None, code_challenge_method=method))
    assert answer["error"] == "invalid_request"
    assert AuthorizationCode.objects.count() == 0


@pytest.mark.conformance("PK-02")
def test_metadata_when_read_then_it_names_s256_alone(client, world):
    document = client.get("/.well-known/oauth-authorization-server").json()
    assert document["code_challenge_methods_supported"] == ["S256"]


@pytest.mark.conformance("PK-03", "PK-04")
@pytest.mark.parametrize(
    "method", [None, "", "plain", "s256", "S256 ", " S256", "S512", "SHA256", "S256,plain"]
)
@pytest.mark.parametrize("challenge", [CHALLENGE, VERIFIER])
def test_method_when_not_exactly_s256_then_invalid_request(story, method, challenge):
    answer = redirected(
        story.authorize(code_challenge=challenge, code_challenge_method=method, prompt="none")
    )
    assert answer["error"] == "invalid_request"


@pytest.mark.conformance("PK-05")
@pytest.mark.parametrize(
    "challenge",
    [
        "a",
        CHALLENGE[:42],
        CHALLENGE + "A",
        "a" * 128,
        "a" * 129,
        CHALLENGE + "=",
        CHALLENGE[:42] + "=",
        CHALLENGE[:42] + "+",
        CHALLENGE[:42] + "/",
        CHALLENGE[:42] + ".",
        CHALLENGE[:42] + "~",
        CHALLENGE[:42] + " ",
        CHALLENGE[:42] + "é",
        CHALLENGE[:42] + "\n",
        CHALLENGE + "\n",
        "\u0661" * 43,
    ],
)
def test_challenge_when_not_43_base64url_characters_then_invalid_request(story, challenge):
    assert redirected(story.authorize(code_challenge=challenge))["error"] == "invalid_request"


@pytest.mark.conformance("PK-06")
@pytest.mark.parametrize(
    "verifier",
    [
        "a" * 43,
        VERIFIER[:-1] + "A",
        VERIFIER.swapcase(),
        VERIFIER + "A",
        # A server that took `plain`, too, would take its own challenge as the verifier
        CHALLENGE,
    ],
)
def test_verifier_when_wrong_then_invalid_grant_and_the_code_can_still_be_redeemed(story, verifier):
    code = story.code()
    answer = story.redeem(code, code_verifier=verifier)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    assert AccessToken.objects.count() == 0
    assert story.redeem(code).status_code == 200


@pytest.mark.conformance("PK-07")
@pytest.mark.parametrize("verifier", [None, ""])
@pytest.mark.parametrize("app", ["mobile", "web"])
def test_verifier_when_missing_then_refused(story, verifier, app):
    app = getattr(story.world, app)
    answer = story.redeem(story.code(app), app, code_verifier=verifier)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    assert AccessToken.objects.count() == 0


@pytest.mark.conformance("PK-08")
@pytest.mark.parametrize(
    "verifier",
    [
        "a" * 42,
        "a" * 129,
        "a" * 10_000,
        "a" * 42 + " ",
        "a" * 42 + "é",
        "a" * 42 + "+",
        "a" * 42 + "/",
        "a" * 42 + "=",
        "a" * 42 + "%",
        "a" * 43 + "\n",
        "\u0661" * 43,
        "😀" * 43,
    ],
)
def test_verifier_when_malformed_then_refused_even_if_its_hash_is_right(story, verifier):
    code = story.code(code_challenge=challenge_for(verifier))
    answer = story.redeem(code, code_verifier=verifier)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


@pytest.mark.conformance("PK-08")
@pytest.mark.parametrize("verifier", ["a" * 43, "~" * 128, UNRESERVED, "._~-" * 11])
def test_verifier_when_of_43_to_128_unreserved_characters_then_it_is_taken(story, verifier):
    code = story.code(code_challenge=challenge_for(verifier))
    assert story.redeem(code, code_verifier=verifier).status_code == 200


@pytest.mark.conformance("PK-09", "OT-08")
@pytest.mark.parametrize("verifier", [VERIFIER, None, "", "a" * 43])
def test_code_when_it_has_no_challenge_then_no_verifier_redeems_it(story, verifier):
    # The endpoint makes no such code (PK-01); this one comes from a script
    code = story.code()
    AuthorizationCode.objects.update(code_challenge="")
    answer = story.redeem(code, code_verifier=verifier)
    assert answer.status_code == 400
    assert answer.json()["error"] in {"invalid_request", "invalid_grant"}
    assert AccessToken.objects.count() == 0


@pytest.mark.conformance("PK-10")
def test_challenge_when_a_code_is_issued_then_it_shows_in_no_answer(story):
    challenge = challenge_for(secrets.token_urlsafe(32))
    page = story.authorize(code_challenge=challenge)
    assert challenge not in page.content.decode()
    assert challenge not in "".join(cookie.value for cookie in story.browser.cookies.values())
    response = story.answer(page)
    code = redirected(response)["code"]
    assert challenge not in response["Location"]
    # The code is random text and nothing else
    assert len(code) == 43
    assert challenge.encode() not in base64.urlsafe_b64decode(code + "=")
    assert AuthorizationCode.objects.get().code_challenge == challenge


@pytest.mark.conformance("PK-10")
def test_challenge_when_sent_at_the_token_endpoint_then_it_is_ignored(story):
    other = secrets.token_urlsafe(32)
    answer = story.redeem(
        story.code(),
        code_verifier=other,
        code_challenge=challenge_for(other),
        code_challenge_method="S256",
    )
    assert answer.json()["error"] == "invalid_grant"


def test_code_when_injected_into_another_flow_of_the_client_then_refused(story):
    theirs = story.code(code_challenge=challenge_for("b" * 43))
    assert story.redeem(theirs, code_verifier=VERIFIER).json()["error"] == "invalid_grant"


def test_challenge_when_computed_here_then_it_is_the_servers():
    assert pkce.challenge_for(VERIFIER) == challenge_for(VERIFIER) == CHALLENGE
