"""Refreshing: RFC 6749 section 6, RFC 9700 section 4.14."""

import threading

import pytest
from django.db import connections
from django.test import override_settings

from delegation_app.models import Delegation, RefreshToken
from delegation_app.protocol.scope import Scope
from delegation_app.services.audit import RequestContext
from delegation_app.services.consent import approval
from delegation_app.services.delegations import creation, revocation
from delegation_app.services.delegations.narrowing import Narrowing
from tests.support.answers import never_stored, nothing_stored, recorded, refusal_recorded, refused
from tests.support.world import SERVICE_A, SERVICE_B, Story, claims_of, delegation_of

ISSUER = "https://as.example.com"
STRICT = override_settings(DELEGATION={"ISSUER": ISSUER, "REFRESH_RETRY_WINDOW": 0})


@pytest.mark.conformance("RT-01")
def test_refresh_token_when_another_client_presents_it_then_its_own_is_not_affected(story, world):
    tokens = story.tokens()
    for thief in (world.other, world.mobile):
        with refusal_recorded("invalid_grant", client_id_value=thief.client_id):
            response = story.refresh(tokens["refresh_token"], thief)
        refused(response, "invalid_grant")
    assert story.is_active(tokens["access_token"])
    assert story.refresh(tokens["refresh_token"]).status_code == 200


@pytest.mark.conformance("RT-01")
def test_used_refresh_token_when_another_client_presents_it_then_nothing_ends(story, world, clock):
    first = story.tokens()
    second = story.refresh(first["refresh_token"]).json()
    clock.forward(seconds=60)
    with refusal_recorded("invalid_grant"):
        refused(story.refresh(first["refresh_token"], world.other), "invalid_grant")
    assert story.is_active(second["access_token"])


@pytest.mark.conformance("RT-01")
def test_refresh_token_when_the_client_is_not_authenticated_then_it_is_not_used(story, world):
    refresh_token = story.tokens()["refresh_token"]
    data = {"grant_type": "refresh_token", "refresh_token": refresh_token, "client_id": "web"}
    for secret in (None, "wrong"):
        with refusal_recorded("invalid_client"):
            response = story.post("/oauth/token", {**data, "client_secret": secret})
        refused(response, "invalid_client", 401)
    assert story.refresh(refresh_token).status_code == 200


@pytest.mark.conformance("RT-02")
@pytest.mark.parametrize(
    "scope", ["read:metrics write:alerts read:profile", "read:profile", "unknown", "delete:alerts"]
)
def test_scope_when_it_is_more_than_was_granted_then_invalid_scope(story, scope):
    tokens = story.tokens()
    with refusal_recorded("invalid_scope"):
        response = story.refresh(tokens["refresh_token"], scope=scope)
    refused(response, "invalid_scope")
    # The refusal cost nobody the refresh token.
    assert story.refresh(tokens["refresh_token"]).status_code == 200


@pytest.mark.conformance("RT-02")
@pytest.mark.parametrize("asked", ["read:metrics write:alerts", None])
def test_scope_when_a_part_was_taken_away_then_who_repeats_it_gets_the_rest(story, asked):
    tokens = story.tokens()
    less = Narrowing(scope=Scope(["read:metrics"]))
    creation.narrow(delegation_of(tokens), less, RequestContext(actor="user:99"), reason="enough")
    answer = story.refresh(tokens["refresh_token"], scope=asked)
    assert answer.status_code == 200
    assert answer.json()["scope"] == "read:metrics"
    nothing_left = story.refresh(answer.json()["refresh_token"], scope="write:alerts")
    refused(nothing_left, "invalid_scope")


@pytest.mark.conformance("RT-02")
def test_scope_when_left_out_then_it_is_what_was_granted(story):
    tokens = story.tokens()
    with recorded("token.refreshed"):
        response = story.refresh(tokens["refresh_token"])
    never_stored(response)
    answer = response.json()
    assert answer["scope"] == tokens["scope"] == "read:metrics write:alerts"
    assert answer["token_type"] == "Bearer"
    assert answer["expires_in"] == 600
    assert claims_of(answer["access_token"])["scope"] == answer["scope"]


@pytest.mark.conformance("RT-02", "RT-03")
def test_scope_when_narrowed_then_the_next_refresh_token_still_has_all_of_it(story):
    tokens = story.tokens()
    narrow = story.refresh(tokens["refresh_token"], scope="read:metrics").json()
    assert narrow["scope"] == "read:metrics"
    assert claims_of(narrow["access_token"])["scope"] == "read:metrics"
    assert story.introspect(narrow["access_token"]).json()["scope"] == "read:metrics"
    whole = story.refresh(narrow["refresh_token"]).json()
    assert whole["scope"] == "read:metrics write:alerts"


@pytest.mark.conformance("RT-03")
def test_resource_when_narrowed_then_the_next_refresh_token_still_has_all_of_it(story):
    tokens = story.tokens(resource=[SERVICE_A, SERVICE_B])
    narrow = story.refresh(tokens["refresh_token"], resource=SERVICE_B).json()
    assert claims_of(narrow["access_token"])["aud"] == SERVICE_B
    whole = story.refresh(narrow["refresh_token"]).json()
    assert claims_of(whole["access_token"])["aud"] == [SERVICE_A, SERVICE_B]


@pytest.mark.conformance("RT-04")
@pytest.mark.parametrize(("app", "window"), [("mobile", 10), ("web", 60)])
def test_refresh_token_when_used_then_it_is_replaced_and_the_old_one_is_over(
    story, world, clock, app, window
):
    app = world.apps[app]
    first = story.tokens(app)
    second = story.refresh(first["refresh_token"], app).json()
    assert second["refresh_token"] != first["refresh_token"]
    third = story.refresh(second["refresh_token"], app).json()
    assert len({t["refresh_token"] for t in (first, second, third)}) == 3
    clock.forward(seconds=window)
    refused(story.refresh(second["refresh_token"], app), "invalid_grant")


@pytest.mark.conformance("RT-05")
def test_refresh_token_when_reused_after_the_window_then_the_family_ends(story, clock):
    first = story.tokens()
    second = story.refresh(first["refresh_token"]).json()
    clock.forward(seconds=60)
    with recorded("delegation.revoked"):
        response = story.refresh(first["refresh_token"])
    refused(response, "invalid_grant")
    delegation = delegation_of(first)
    assert delegation.revocation_reason == "refresh token reused"
    assert delegation.revoked_by == "system"
    with refusal_recorded("invalid_grant"):
        refused(story.refresh(second["refresh_token"]), "invalid_grant")
    assert not story.is_active(first["access_token"])
    assert not story.is_active(second["access_token"])


@pytest.mark.conformance("RT-05")
def test_refresh_token_when_its_successor_was_used_then_not_even_the_window_helps(story):
    first = story.tokens()
    second = story.refresh(first["refresh_token"]).json()
    third = story.refresh(second["refresh_token"]).json()
    with recorded("delegation.revoked"):
        refused(story.refresh(first["refresh_token"]), "invalid_grant")
    assert not story.is_active(third["access_token"])
    refused(story.refresh(third["refresh_token"]), "invalid_grant")


@pytest.mark.conformance("RT-04", "RT-05")
def test_refresh_token_when_the_site_is_strict_then_the_second_use_ends_the_family(story):
    with STRICT:
        first = story.tokens()
        second = story.refresh(first["refresh_token"]).json()
        with recorded("delegation.revoked"):
            refused(story.refresh(first["refresh_token"]), "invalid_grant")
        assert not story.is_active(second["access_token"])


@pytest.mark.conformance("RT-06")
@pytest.mark.parametrize("resource", [SERVICE_B, "https://unknown.example.com", "not a uri"])
def test_resource_when_it_was_not_consented_to_then_invalid_target(story, resource):
    tokens = story.tokens(resource=SERVICE_A)
    with refusal_recorded("invalid_target"):
        response = story.refresh(tokens["refresh_token"], resource=resource)
    refused(response, "invalid_target")
    with refusal_recorded("invalid_target"):
        response = story.refresh(tokens["refresh_token"], resource=[SERVICE_A, resource])
    refused(response, "invalid_target")
    answer = story.refresh(tokens["refresh_token"], resource=SERVICE_A).json()
    assert claims_of(answer["access_token"])["aud"] == SERVICE_A


@pytest.mark.conformance("RT-07")
def test_refresh_token_when_it_lay_unused_for_too_long_then_invalid_grant(story, world, clock):
    world.web.change(refresh_token_lifetime=7 * 24 * 3600)
    used, unused = story.tokens()["refresh_token"], story.tokens()["refresh_token"]
    clock.forward(days=7, seconds=-1)
    used = story.refresh(used).json()["refresh_token"]
    clock.forward(seconds=1)
    with refusal_recorded("invalid_grant"):
        refused(story.refresh(unused), "invalid_grant")
    # Each use starts the time anew.
    clock.forward(days=6)
    assert story.refresh(used).status_code == 200


@pytest.mark.conformance("RT-08")
def test_refresh_token_when_the_delegation_ends_soon_then_nothing_outlives_it(story, world, clock):
    day = 24 * 3600
    world.web.change(refresh_token_lifetime=7 * day, delegation_lifetime=30 * day)
    answer = story.tokens()
    ends = delegation_of(answer).expires_at
    assert answer["refresh_token_timeout"] == 7 * day
    assert answer["authorization_expires_in"] == 30 * day
    for _ in range(7):
        clock.forward(days=4)
        answer = story.refresh(answer["refresh_token"]).json()
    assert answer["refresh_token_timeout"] == answer["authorization_expires_in"] == 172_800
    clock.forward(days=2, seconds=-5)
    answer = story.refresh(answer["refresh_token"]).json()
    assert answer["refresh_token_timeout"] == answer["authorization_expires_in"] == 5
    assert answer["expires_in"] == 5
    assert claims_of(answer["access_token"])["exp"] <= ends.timestamp()
    assert story.is_active(answer["access_token"])
    clock.forward(seconds=5)
    assert not story.is_active(answer["access_token"])
    refused(story.refresh(answer["refresh_token"]), "invalid_grant")


@pytest.mark.conformance("RT-08")
def test_refresh_token_when_the_delegation_has_no_end_then_none_is_promised(story, world, clock):
    with override_settings(DELEGATION={"ISSUER": ISSUER, "DELEGATION_LIFETIME": None}):
        answer = story.tokens()
    assert answer["refresh_token_timeout"] == 30 * 24 * 3600
    assert "authorization_expires_in" not in answer


def _revoke(world):
    revocation.subtree(Delegation.objects.get(), RequestContext("user:7"), reason="operator")


def _withdraw(world):
    approval.withdraw(
        Delegation.objects.get().consent, RequestContext("user:7"), reason="withdrawn"
    )


def _deactivate(world):
    world.alice.is_active = False
    world.alice.save()


def _delete(world):
    world.alice.delete()


@pytest.mark.conformance("RT-09")
@pytest.mark.parametrize("end", [_revoke, _withdraw, _deactivate, _delete])
@pytest.mark.parametrize("seconds", [0, 30, 90])
def test_refresh_token_when_its_delegation_is_over_then_invalid_grant(
    story, world, clock, end, seconds
):
    first = story.tokens()
    second = story.refresh(first["refresh_token"]).json()
    end(world)
    clock.forward(seconds=seconds)
    with refusal_recorded("invalid_grant"):
        refused(story.refresh(second["refresh_token"]), "invalid_grant")
    # The one before is a retry within its window, and later a replay, which ends what is suspended
    is_replay = seconds > 60 and end is _deactivate
    with recorded("delegation.revoked") if is_replay else refusal_recorded("invalid_grant"):
        refused(story.refresh(first["refresh_token"]), "invalid_grant")
    assert not any(story.is_active(tokens["access_token"]) for tokens in (first, second))


@pytest.mark.conformance("RT-10")
def test_refresh_token_when_missing_then_invalid_request(story, world):
    with refusal_recorded("invalid_request"):
        refused(story.refresh(None), "invalid_request")


@pytest.mark.conformance("RT-10")
@pytest.mark.parametrize("text", ["unknown", "a" * 43, "a" * 54, "a.b.c", "é", "a" * 60_000])
def test_refresh_token_when_unknown_or_malformed_then_invalid_grant(story, text):
    with refusal_recorded("invalid_grant"):
        refused(story.refresh(text), "invalid_grant")


@pytest.mark.conformance("RT-10")
def test_refresh_token_when_it_is_something_else_then_invalid_grant(story, world):
    code, tokens = story.code(), story.tokens()
    world.service_a.token_format = "opaque"
    world.service_a.save()
    opaque = story.tokens()["access_token"]
    for text in (code, tokens["access_token"], opaque):
        with refusal_recorded("invalid_grant"):
            refused(story.refresh(text), "invalid_grant")
    assert story.redeem(code).status_code == 200


@pytest.mark.many_connections
@pytest.mark.django_db(transaction=True)
@pytest.mark.conformance("RT-11")
@pytest.mark.parametrize("window", [0, 10])
def test_refresh_token_when_ten_use_it_side_by_side_then_there_is_at_most_one_successor(
    world, window
):
    story = Story(world, world.alice)
    tokens, start, answers = story.tokens(), threading.Barrier(10), []

    def use():
        start.wait()
        answers.append(Story(world).refresh(tokens["refresh_token"]))
        connections.close_all()

    with override_settings(DELEGATION={"ISSUER": ISSUER, "REFRESH_RETRY_WINDOW": window}):
        threads = [threading.Thread(target=use) for _ in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    won = [answer.json() for answer in answers if answer.status_code == 200]
    for answer in answers:
        if answer.status_code != 200:
            refused(answer, "invalid_grant")
    assert len(won) == (10 if window else 1)
    assert len({answer["refresh_token"] for answer in won}) == 1
    assert RefreshToken.objects.count() == 2
    # With the window nobody did anything wrong; without it, nine did.
    assert story.is_active(won[0]["access_token"]) == bool(window)


def test_refresh_token_when_the_client_may_no_longer_refresh_then_unauthorized_client(story, world):
    tokens = story.tokens()
    world.web.change(grants=["authorization_code"])
    with refusal_recorded("unauthorized_client"):
        refused(story.refresh(tokens["refresh_token"]), "unauthorized_client")


def test_delegation_when_refreshed_then_its_last_use_is_noted(story, clock):
    tokens = story.tokens()
    clock.forward(minutes=5)
    story.refresh(tokens["refresh_token"])
    assert delegation_of(tokens).last_used_at == clock.time


def test_claims_when_refreshed_then_they_tell_of_the_same_sign_in(story, clock):
    first = story.tokens()
    clock.forward(hours=3)
    second = story.refresh(first["refresh_token"]).json()
    before, after = claims_of(first["access_token"]), claims_of(second["access_token"])
    for name in ("sub", "aud", "client_id", "auth_time", "acr", "delegation_id", "iss"):
        assert before[name] == after[name], name
    assert after["iat"] - before["iat"] == 3 * 3600


def test_refusal_when_the_request_is_bad_then_the_refresh_token_is_not_used(story):
    tokens = story.tokens()
    with nothing_stored():
        story.refresh(tokens["refresh_token"], scope="é")
        story.refresh(tokens["refresh_token"], authorization_details="[]")
    assert RefreshToken.objects.get().consumed_at is None
