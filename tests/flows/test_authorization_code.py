"""Redeeming codes: RFC 6749 section 4.1.3, RFC 7636."""

import base64
import hashlib
import secrets

import pytest

from delegation_app.models import AccessToken, AuthorizationCode, RefreshToken
from delegation_app.protocol import pkce
from tests.support.answers import each, never_stored, recorded, refusal_recorded, refused, refuses
from tests.support.world import (
    CHALLENGE,
    REDIRECT_URI,
    SERVICE_A,
    SERVICE_B,
    VERIFIER,
    claims_of,
    delegation_of,
    redirected,
)

pytestmark = pytest.mark.compat


@pytest.mark.conformance("TK-01", "PK-11")
def test_code_when_redeemed(story, world):
    code = story.code()
    with recorded("token.issued"):
        response = story.redeem(code)
    assert response.status_code == 200
    assert response["Content-Type"] == "application/json"
    never_stored(response)
    answer = response.json()
    assert answer["token_type"] == "Bearer"
    assert type(answer["expires_in"]) is int
    assert answer["expires_in"] == 600
    assert answer["scope"] == "read:metrics write:alerts"
    claims = claims_of(answer["access_token"])
    assert claims["sub"] == f"user:{world.alice.pk}"
    assert claims["client_id"] == "web"
    assert claims["exp"] - claims["iat"] == answer["expires_in"]
    assert story.is_active(answer["access_token"])


@pytest.mark.conformance("TK-02")
def test_grant_type_when_missing(story):
    code = story.code()
    refuses("invalid_request", lambda: story.token(code=code, code_verifier=VERIFIER))


@pytest.mark.conformance("TK-02")
@pytest.mark.parametrize(
    "grant_type",
    [
        "implicit", "Authorization_Code", "authorization_code ",
        "urn:ietf:params:oauth:grant-type:jwt-bearer", "__class__", "../authorization_code",
    ],
)  # fmt: skip
def test_grant_type_when_unknown(story, grant_type):
    code = story.code()
    refuses("unsupported_grant_type", lambda: story.redeem(code, grant_type=grant_type))


@pytest.mark.conformance("TK-03")
def test_grant_type_when_the_client_may_not_use_it(story, world):
    code = story.code()
    world.web.change(grants=["refresh_token"])
    refuses("unauthorized_client", lambda: story.redeem(code), client_id_value="web")
    refuses("unauthorized_client", lambda: story.redeem(code, world.cron), client_id_value="cron")


@pytest.mark.conformance("TK-04")
def test_code_when_missing(story, world):
    refuses("invalid_request", lambda: story.redeem(None))


@pytest.mark.conformance("TK-05")
@pytest.mark.parametrize("code", ["unknown", "a" * 43, "a" * 60_000, "é\U0001f511", "a b", "a.b.c"])
def test_code_when_unknown_or_malformed(story, code):
    refuses("invalid_grant", lambda: story.redeem(code))


@pytest.mark.conformance("TK-05", "AZ-13")
def test_code_when_its_minute_is_over(story, clock):
    early, late = story.code(), story.code()
    clock.forward(seconds=59)
    assert story.redeem(early).status_code == 200
    clock.forward(seconds=1)
    refuses("invalid_grant", lambda: story.redeem(late))


@pytest.mark.conformance("TK-06")
def test_code_when_another_client_presents_it(story, world):
    code = story.code()
    for thief in (world.other, world.mobile):
        with refusal_recorded("invalid_grant", client_id_value=thief.client_id):
            response = story.redeem(code, thief)
        refused(response, "invalid_grant")
    assert story.redeem(code).status_code == 200


@pytest.mark.conformance("TK-06")
def test_code_when_another_client_replays_it(story, world):
    code = story.code()
    tokens = story.redeem(code).json()
    refuses("invalid_grant", lambda: story.redeem(code, world.other))
    assert story.is_active(tokens["access_token"])


@pytest.mark.conformance("TK-07", "OT-04")
@pytest.mark.parametrize(
    "redirect_uri",
    [
        "https://evil.example.com/callback", f"{REDIRECT_URI}/", f"{REDIRECT_URI}?a=b",
        "HTTPS://web.example.com/callback", "https://web.example.com:443/callback",
        "https://web.example.com/%63allback",
    ],
)  # fmt: skip
def test_redirect_uri_when_it_is_not_the_one_of_the_request(story, redirect_uri):
    code = story.code()
    refuses("invalid_grant", lambda: story.redeem(code, redirect_uri=redirect_uri))
    # The refusal cost nobody the code.
    assert story.redeem(code, redirect_uri=REDIRECT_URI).status_code == 200


@pytest.mark.conformance("TK-07", "OT-04")
def test_redirect_uri_when_left_out(story):
    assert story.redeem(story.code()).status_code == 200


@pytest.mark.conformance("TK-07")
def test_redirect_uri_when_it_is_another_registered_one(story, world):
    world.web.row.redirect_uris = f"{REDIRECT_URI} https://web.example.com/second"
    world.web.row.save()
    code = story.code()
    with refusal_recorded("invalid_grant"):
        response = story.redeem(code, redirect_uri="https://web.example.com/second")
    refused(response, "invalid_grant")


@pytest.mark.conformance("TK-08", "TK-09", "AZ-13")
@pytest.mark.parametrize("seconds", [0, 1, 30, 3600])
@pytest.mark.consequence(
    5,
    "a code or an old refresh token is used again, whatever else is wrong with the request",
    "the delegation is revoked before the error is returned; what its user allowed does not come "
    "back without a page, which says why",
)
def test_code_when_redeemed_again(story, clock, seconds):
    code = story.code()
    first = story.redeem(code).json()
    # Within the minute of the code and long after: 10 minutes is the life of an access token.
    clock.forward(seconds=seconds)
    with recorded("delegation.revoked"):
        response = story.redeem(code)
    refused(response, "invalid_grant")
    delegation = delegation_of(first)
    assert delegation.revoked_by == "system"
    assert delegation.revocation_reason == "code replayed"
    assert not story.is_active(first["access_token"])
    refused(story.refresh(first["refresh_token"]), "invalid_grant")
    # A third time changes nothing more.
    refuses("invalid_grant", lambda: story.redeem(code))


@pytest.mark.conformance("TK-09")
def test_code_when_replayed_after_a_refresh(story):
    code = story.code()
    first = story.redeem(code).json()
    second = story.refresh(first["refresh_token"]).json()
    story.redeem(code)
    assert not story.is_active(first["access_token"])
    assert not story.is_active(second["access_token"])
    refused(story.refresh(second["refresh_token"]), "invalid_grant")


@pytest.mark.conformance("TK-10", "OT-07")
@pytest.mark.parametrize(
    "change",
    [
        {"code_verifier": "wrong-" * 10},
        {"code_verifier": None},
        {"code_verifier": ""},
        {"redirect_uri": "https://evil.example.com/"},
    ],
)
def test_replay_when_it_proves_nothing(story, change):
    code = story.code()
    first = story.redeem(code).json()
    refuses("invalid_grant", lambda: story.redeem(code, **change))
    assert story.is_active(first["access_token"])
    assert story.refresh(first["refresh_token"]).status_code == 200


@pytest.mark.conformance("TK-10")
def test_replay_when_the_client_is_not_authenticated(story, world):
    code = story.code()
    first = story.redeem(code).json()
    world.web.secret = "not the secret"
    refuses("invalid_client", lambda: story.redeem(code), status=401)
    assert story.is_active(first["access_token"])


@pytest.mark.conformance("TK-11")
def test_password_grant_when_asked_for(story, world, client):
    world.web.change(grants=["authorization_code", "refresh_token", "password"])
    with refusal_recorded("unsupported_grant_type"):
        response = story.token(
            grant_type="password", username="alice", password="correct horse battery staple"
        )
    refused(response, "unsupported_grant_type")
    document = client.get("/.well-known/oauth-authorization-server").json()
    assert set(document["grant_types_supported"]) == {
        "authorization_code",
        "client_credentials",
        "refresh_token",
        "urn:ietf:params:oauth:grant-type:device_code",
        "urn:ietf:params:oauth:grant-type:token-exchange",
    }


@pytest.mark.conformance("TK-12")
def test_refresh_token_when_the_client_may_not_refresh(story, world):
    world.web.change(grants=["authorization_code"])
    answer = story.tokens()
    assert set(answer) == {"access_token", "token_type", "expires_in", "scope"}
    assert not RefreshToken.objects.exists()


@pytest.mark.conformance("TK-12")
def test_refresh_token_when_issued(story):
    answer = story.tokens(scopes=["read:metrics"], resource=SERVICE_A)
    row = RefreshToken.objects.get()
    assert str(row.scope) == "read:metrics"
    assert list(row.audience) == [SERVICE_A]
    refused(story.refresh(answer["refresh_token"], scope="write:alerts"), "invalid_scope")
    refused(story.refresh(answer["refresh_token"], resource=SERVICE_B), "invalid_target")


# Proof key for code exchange: always, S256 only, and bound to the code on the server
UNRESERVED = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"


def challenge_for(verifier):
    """Computed here, so that the server is not compared with itself."""
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


@pytest.mark.conformance("PK-01", "OT-01")
@pytest.mark.parametrize("app", ["mobile", "web"])
@pytest.mark.parametrize("method", [None, "S256", "plain"])
def test_challenge_when_missing(story, app, method):
    app = getattr(story.world, app)
    answer = redirected(story.authorize(app, code_challenge=None, code_challenge_method=method))
    assert answer["error"] == "invalid_request"
    assert AuthorizationCode.objects.count() == 0


@pytest.mark.conformance("PK-03", "PK-04")
def test_method_when_not_exactly_s256(story):
    for method in [None, "", "plain", "s256", "S256 ", " S256", "S512", "SHA256", "S256,plain"]:
        for challenge in [CHALLENGE, VERIFIER]:
            with each((method, challenge)):
                answer = redirected(
                    story.authorize(
                        code_challenge=challenge, code_challenge_method=method, prompt="none"
                    )
                )
                assert answer["error"] == "invalid_request"


@pytest.mark.conformance("PK-05")
def test_challenge_when_not_43_base64url_characters(story):
    for challenge in [
        "a", CHALLENGE[:42], CHALLENGE + "A", "a" * 128, "a" * 129, CHALLENGE + "=",
        CHALLENGE[:42] + "=", CHALLENGE[:42] + "+", CHALLENGE[:42] + "/", CHALLENGE[:42] + ".",
        CHALLENGE[:42] + "~", CHALLENGE[:42] + " ", CHALLENGE[:42] + "é", CHALLENGE[:42] + "\n",
        CHALLENGE + "\n", "\u0661" * 43,
    ]:  # fmt: skip
        with each(challenge):
            assert (
                redirected(story.authorize(code_challenge=challenge))["error"] == "invalid_request"
            )


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
def test_verifier_when_wrong(story, verifier):
    code = story.code()
    answer = story.redeem(code, code_verifier=verifier)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    assert AccessToken.objects.count() == 0
    assert story.redeem(code).status_code == 200


@pytest.mark.conformance("PK-07")
@pytest.mark.parametrize("verifier", [None, ""])
@pytest.mark.parametrize("app", ["mobile", "web"])
def test_verifier_when_missing(story, verifier, app):
    app = getattr(story.world, app)
    answer = story.redeem(story.code(app), app, code_verifier=verifier)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    assert AccessToken.objects.count() == 0


@pytest.mark.conformance("PK-08")
@pytest.mark.parametrize(
    "verifier",
    [
        "a" * 42, "a" * 129, "a" * 10_000, "a" * 42 + " ", "a" * 42 + "é", "a" * 42 + "+",
        "a" * 42 + "/", "a" * 42 + "=", "a" * 42 + "%", "a" * 43 + "\n", "\u0661" * 43, "😀" * 43,
    ],
)  # fmt: skip
def test_verifier_when_malformed(story, verifier):
    code = story.code(code_challenge=challenge_for(verifier))
    answer = story.redeem(code, code_verifier=verifier)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


@pytest.mark.conformance("PK-08")
@pytest.mark.parametrize("verifier", ["a" * 43, "~" * 128, UNRESERVED, "._~-" * 11])
def test_verifier_when_of_43_to_128_unreserved_characters(story, verifier):
    code = story.code(code_challenge=challenge_for(verifier))
    assert story.redeem(code, code_verifier=verifier).status_code == 200


@pytest.mark.conformance("PK-09", "OT-08")
@pytest.mark.parametrize("verifier", [VERIFIER, None, "", "a" * 43])
def test_code_when_it_has_no_challenge(story, verifier):
    # The endpoint makes no such code (PK-01); this one comes from a script
    code = story.code()
    AuthorizationCode.objects.update(code_challenge="")
    answer = story.redeem(code, code_verifier=verifier)
    assert answer.status_code == 400
    assert answer.json()["error"] in {"invalid_request", "invalid_grant"}
    assert AccessToken.objects.count() == 0


@pytest.mark.conformance("PK-10")
def test_challenge_when_a_code_is_issued(story):
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


def test_code_when_injected_into_another_flow_of_the_client(story):
    theirs = story.code(code_challenge=challenge_for("b" * 43))
    assert story.redeem(theirs, code_verifier=VERIFIER).json()["error"] == "invalid_grant"


def test_challenge_when_computed_here():
    assert pkce.challenge_for(VERIFIER) == challenge_for(VERIFIER) == CHALLENGE
