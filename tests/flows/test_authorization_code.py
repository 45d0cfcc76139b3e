"""Redeeming codes: RFC 6749 section 4.1.3."""

import threading

import pytest
from django.db import connections

from delegation_app.models import AccessToken, AuthorizationCode, Delegation, RefreshToken
from delegation_app.services.audit import RequestContext
from delegation_app.services.delegations import revocation
from tests.support.answers import never_stored, recorded, refusal_recorded, refused
from tests.support.world import (
    REDIRECT_URI,
    SERVICE_A,
    SERVICE_B,
    VERIFIER,
    Story,
    claims_of,
    delegation_of,
)


@pytest.mark.conformance("TK-01")
def test_code_when_redeemed_then_the_answer_has_what_the_rfc_asks_for(story, world):
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


@pytest.mark.conformance("TK-01")
def test_scope_when_less_was_granted_than_asked_then_the_answer_says_so(story):
    answer = story.tokens(scopes=["read:metrics"])
    assert answer["scope"] == "read:metrics"
    assert claims_of(answer["access_token"])["scope"] == "read:metrics"


@pytest.mark.conformance("TK-01")
def test_expires_in_when_the_client_has_its_own_lifetime_then_it_follows(story, world):
    world.web.change(access_token_lifetime=77)
    answer = story.tokens()
    assert answer["expires_in"] == 77
    claims = claims_of(answer["access_token"])
    assert claims["exp"] - claims["iat"] == 77


@pytest.mark.conformance("TK-02")
def test_grant_type_when_missing_then_invalid_request(story):
    code = story.code()
    with refusal_recorded("invalid_request"):
        response = story.token(code=code, code_verifier=VERIFIER)
    refused(response, "invalid_request")


@pytest.mark.conformance("TK-02")
@pytest.mark.parametrize(
    "grant_type",
    [
        "implicit",
        "Authorization_Code",
        "authorization_code ",
        "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "__class__",
        "../authorization_code",
    ],
)
def test_grant_type_when_unknown_then_unsupported_grant_type(story, grant_type):
    code = story.code()
    with refusal_recorded("unsupported_grant_type"):
        response = story.redeem(code, grant_type=grant_type)
    refused(response, "unsupported_grant_type")


@pytest.mark.conformance("TK-03")
def test_grant_type_when_the_client_may_not_use_it_then_unauthorized_client(story, world):
    code = story.code()
    world.web.change(grants=["refresh_token"])
    with refusal_recorded("unauthorized_client", client_id_value="web"):
        response = story.redeem(code)
    refused(response, "unauthorized_client")
    with refusal_recorded("unauthorized_client", client_id_value="cron"):
        response = story.redeem(code, world.cron)
    refused(response, "unauthorized_client")


@pytest.mark.conformance("TK-04")
def test_code_when_missing_then_invalid_request(story, world):
    with refusal_recorded("invalid_request"):
        response = story.redeem(None)
    refused(response, "invalid_request")


@pytest.mark.conformance("TK-05")
@pytest.mark.parametrize("code", ["unknown", "a" * 43, "a" * 60_000, "é\U0001f511", "a b", "a.b.c"])
def test_code_when_unknown_or_malformed_then_invalid_grant(story, code):
    with refusal_recorded("invalid_grant"):
        response = story.redeem(code)
    refused(response, "invalid_grant")


@pytest.mark.conformance("TK-05")
def test_code_when_its_minute_is_over_then_invalid_grant(story, clock):
    early, late = story.code(), story.code()
    clock.forward(seconds=59)
    assert story.redeem(early).status_code == 200
    clock.forward(seconds=1)
    with refusal_recorded("invalid_grant"):
        response = story.redeem(late)
    refused(response, "invalid_grant")


@pytest.mark.conformance("TK-06")
def test_code_when_another_client_presents_it_then_the_rightful_one_can_still_redeem(story, world):
    code = story.code()
    for thief in (world.other, world.mobile):
        with refusal_recorded("invalid_grant", client_id_value=thief.client_id):
            response = story.redeem(code, thief)
        refused(response, "invalid_grant")
    assert story.redeem(code).status_code == 200


@pytest.mark.conformance("TK-06")
def test_code_when_another_client_replays_it_then_nothing_ends(story, world):
    code = story.code()
    tokens = story.redeem(code).json()
    with refusal_recorded("invalid_grant"):
        refused(story.redeem(code, world.other), "invalid_grant")
    assert story.is_active(tokens["access_token"])


@pytest.mark.conformance("TK-07")
@pytest.mark.parametrize(
    "redirect_uri",
    [
        "https://evil.example.com/callback",
        f"{REDIRECT_URI}/",
        f"{REDIRECT_URI}?a=b",
        "HTTPS://web.example.com/callback",
        "https://web.example.com:443/callback",
        "https://web.example.com/%63allback",
    ],
)
def test_redirect_uri_when_it_is_not_the_one_of_the_request_then_invalid_grant(story, redirect_uri):
    code = story.code()
    with refusal_recorded("invalid_grant"):
        response = story.redeem(code, redirect_uri=redirect_uri)
    refused(response, "invalid_grant")
    # The refusal cost nobody the code.
    assert story.redeem(code, redirect_uri=REDIRECT_URI).status_code == 200


@pytest.mark.conformance("TK-07")
def test_redirect_uri_when_left_out_then_the_verifier_is_enough(story):
    assert story.redeem(story.code()).status_code == 200


@pytest.mark.conformance("TK-07")
def test_redirect_uri_when_it_is_another_registered_one_then_invalid_grant(story, world):
    world.web.row.redirect_uris = f"{REDIRECT_URI} https://web.example.com/second"
    world.web.row.save()
    code = story.code()
    with refusal_recorded("invalid_grant"):
        response = story.redeem(code, redirect_uri="https://web.example.com/second")
    refused(response, "invalid_grant")


@pytest.mark.many_connections
@pytest.mark.django_db(transaction=True)
@pytest.mark.conformance("TK-08")
def test_code_when_ten_redeem_it_side_by_side_then_exactly_one_gets_tokens(story, world):
    story.client_credentials()
    code, start, answers = story.code(), threading.Barrier(10), []

    def redeem():
        start.wait()
        answers.append(Story(world).redeem(code))
        connections.close_all()

    threads = [threading.Thread(target=redeem) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 9
    for answer in answers:
        if answer.status_code == 400:
            refused(answer, "invalid_grant")
    delegation = Delegation.objects.get(grant_type="authorization_code")
    assert AccessToken.objects.filter(delegation=delegation).count() == 1
    assert RefreshToken.objects.filter(delegation=delegation).count() == 1


@pytest.mark.conformance("TK-08", "TK-09")
@pytest.mark.parametrize("seconds", [0, 1, 30, 3600])
@pytest.mark.consequence(
    5,
    "a code or an old refresh token is used again, whatever else is wrong with the request",
    "the delegation is revoked before the error is returned; what its user allowed does not come "
    "back without a page, which says why",
)
def test_code_when_redeemed_again_then_all_that_came_from_it_ends(story, clock, seconds):
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
    with refusal_recorded("invalid_grant"):
        refused(story.redeem(code), "invalid_grant")


@pytest.mark.conformance("TK-09")
def test_code_when_replayed_after_a_refresh_then_the_whole_family_ends(story):
    code = story.code()
    first = story.redeem(code).json()
    second = story.refresh(first["refresh_token"]).json()
    story.redeem(code)
    assert not story.is_active(first["access_token"])
    assert not story.is_active(second["access_token"])
    refused(story.refresh(second["refresh_token"]), "invalid_grant")


@pytest.mark.conformance("TK-10")
@pytest.mark.parametrize(
    "change",
    [
        {"code_verifier": "wrong-" * 10},
        {"code_verifier": None},
        {"code_verifier": ""},
        {"redirect_uri": "https://evil.example.com/"},
    ],
)
def test_replay_when_it_proves_nothing_then_nothing_ends(story, change):
    code = story.code()
    first = story.redeem(code).json()
    with refusal_recorded("invalid_grant"):
        response = story.redeem(code, **change)
    refused(response, "invalid_grant")
    assert story.is_active(first["access_token"])
    assert story.refresh(first["refresh_token"]).status_code == 200


@pytest.mark.conformance("TK-10")
def test_replay_when_the_client_is_not_authenticated_then_nothing_ends(story, world):
    code = story.code()
    first = story.redeem(code).json()
    world.web.secret = "not the secret"
    with refusal_recorded("invalid_client"):
        refused(story.redeem(code), "invalid_client", 401)
    assert story.is_active(first["access_token"])


@pytest.mark.conformance("TK-11")
def test_password_grant_when_asked_for_then_it_does_not_exist(story, world, client):
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
def test_refresh_token_when_the_client_may_not_refresh_then_there_is_none(story, world):
    world.web.change(grants=["authorization_code"])
    answer = story.tokens()
    assert set(answer) == {"access_token", "token_type", "expires_in", "scope"}
    assert not RefreshToken.objects.exists()


@pytest.mark.conformance("TK-12")
def test_refresh_token_when_issued_then_it_is_bound_to_what_was_consented_to(story):
    answer = story.tokens(scopes=["read:metrics"], resource=SERVICE_A)
    row = RefreshToken.objects.get()
    assert str(row.scope) == "read:metrics"
    assert list(row.audience) == [SERVICE_A]
    refused(story.refresh(answer["refresh_token"], scope="write:alerts"), "invalid_scope")
    refused(story.refresh(answer["refresh_token"], resource=SERVICE_B), "invalid_target")


def _revoke(world):
    revocation.subtree(Delegation.objects.get(), RequestContext("user:operator"), reason="operator")


def _deactivate(world):
    world.alice.is_active = False
    world.alice.save()


def _delete(world):
    world.alice.delete()


def _expire(world):
    Delegation.objects.update(
        expires_at=Delegation.objects.get().issued_at.replace(microsecond=999_999)
    )


@pytest.mark.conformance("TK-13")
@pytest.mark.parametrize("end", [_revoke, _deactivate, _delete, _expire])
def test_code_when_its_delegation_is_over_then_invalid_grant(story, world, clock, end):
    code = story.code()
    end(world)
    clock.forward(seconds=5)
    with refusal_recorded("invalid_grant"):
        response = story.redeem(code)
    refused(response, "invalid_grant")
    assert AuthorizationCode.objects.get().consumed_at is None


def test_code_when_redeemed_for_one_of_two_resources_then_only_the_access_token_is_narrower(story):
    code = story.code(resource=[SERVICE_A, SERVICE_B])
    answer = story.redeem(code, resource=SERVICE_B).json()
    assert claims_of(answer["access_token"])["aud"] == SERVICE_B
    again = story.refresh(answer["refresh_token"]).json()
    assert claims_of(again["access_token"])["aud"] == [SERVICE_A, SERVICE_B]


def test_code_when_redeemed_for_a_resource_that_was_not_granted_then_it_is_not_spent(story):
    code = story.code(resource=SERVICE_A)
    with refusal_recorded("invalid_target"):
        response = story.redeem(code, resource=SERVICE_B)
    refused(response, "invalid_target")
    assert story.redeem(code).status_code == 200
