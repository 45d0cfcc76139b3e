"""Clients that act for themselves: RFC 6749 section 4.4."""

import pytest

from delegation_app.models import Delegation, RefreshToken
from delegation_app.services.audit import RequestContext
from delegation_app.services.delegations import revocation
from tests.support.answers import never_stored, recorded, refusal_recorded, refused
from tests.support.world import SERVICE_A, SERVICE_B, claims_of, delegation_of, make_app


@pytest.mark.conformance("CC-01", "CA-08")
@pytest.mark.parametrize("policy", ["not allowed", "allowed by mistake"])
def test_public_client_when_it_asks_then_unauthorized_client(story, world, policy):
    if policy == "allowed by mistake":
        world.mobile.change(grants=["client_credentials"])
    with refusal_recorded("unauthorized_client", client_id_value="mobile"):
        response = story.client_credentials(world.mobile)
    refused(response, "unauthorized_client")


@pytest.mark.conformance("CC-01")
def test_confidential_client_when_it_asks_then_it_gets_a_token(story):
    with recorded("delegation.created", "token.issued"):
        response = story.client_credentials()
    assert response.status_code == 200
    never_stored(response)
    assert story.is_active(response.json()["access_token"])


@pytest.mark.conformance("CC-02")
def test_refresh_token_when_a_client_acts_for_itself_then_there_is_none(story, world):
    world.cron.change(grants=["client_credentials", "refresh_token"])
    answer = story.client_credentials().json()
    assert set(answer) == {"access_token", "token_type", "expires_in", "scope"}
    assert not RefreshToken.objects.exists()


@pytest.mark.conformance("CC-03")
def test_subject_when_a_client_acts_for_itself_then_it_is_the_client(story):
    answer = story.client_credentials(scope="read:metrics").json()
    claims = claims_of(answer["access_token"])
    assert claims["sub"] == "client:cron"
    assert claims["client_id"] == "cron"
    assert claims["aud"] == SERVICE_A
    assert claims["scope"] == answer["scope"] == "read:metrics"
    # There was nobody who signed in.
    assert not {"auth_time", "acr"} & claims.keys()


@pytest.mark.conformance("CC-04")
def test_client_when_it_is_called_like_a_user_then_nobody_takes_it_for_one(story, world):
    subject = f"user:{world.alice.pk}"
    pretender = make_app(
        subject, grants=["client_credentials"], audiences=[world.service_a], scopes="read:metrics"
    )
    of_the_client = story.client_credentials(pretender).json()["access_token"]
    of_the_user = story.tokens(scope="read:metrics")["access_token"]
    assert claims_of(of_the_user)["sub"] == subject
    assert claims_of(of_the_client)["sub"] == f"client:{subject}"
    assert story.introspect(of_the_client).json()["sub"] == f"client:{subject}"
    row = Delegation.objects.get(delegate=pretender.row)
    assert row.principal_user is None
    assert row.principal_client == pretender.row


@pytest.mark.conformance("CC-05")
@pytest.mark.parametrize(
    "scope",
    [
        "read:profile",
        "read:metrics delete:alerts",
        "unknown",
        "READ:METRICS",
        "read:metrics\twrite:alerts",
        "*",
    ],
)
def test_scope_when_it_is_more_than_the_client_may_have_then_invalid_scope(story, scope):
    with refusal_recorded("invalid_scope", client_id_value="cron"):
        response = story.client_credentials(scope=scope)
    refused(response, "invalid_scope")


def test_scope_when_the_resource_knows_less_then_it_is_cut_and_the_answer_says_so(story, world):
    world.service_b.scopes = "read:metrics"
    world.service_b.save()
    answer = story.client_credentials(world.service_a_client, scope="read:metrics write:alerts")
    assert answer.json()["scope"] == "read:metrics"


@pytest.mark.parametrize(
    "resource", [SERVICE_B, "https://unknown.example.com", f"{SERVICE_A}#part", "relative", "//x"]
)
def test_resource_when_it_is_not_for_this_client_then_invalid_target(story, resource):
    with refusal_recorded("invalid_target"):
        response = story.client_credentials(resource=resource)
    refused(response, "invalid_target")


@pytest.mark.conformance("CC-06")
def test_delegation_when_the_terms_are_the_same_then_it_is_the_same(story):
    first = story.client_credentials(scope="read:metrics write:alerts").json()
    with recorded("token.issued"):
        second = story.client_credentials(scope="write:alerts read:metrics").json()
    with recorded("delegation.created", "token.issued"):
        third = story.client_credentials(scope="read:metrics").json()
    assert delegation_of(first) == delegation_of(second) != delegation_of(third)
    row = delegation_of(first)
    assert row.grant_type == "client_credentials"
    assert row.subject == "client:cron"
    assert row.delegate_client_id == "cron"
    assert row.consent is None
    assert row.parent is None


@pytest.mark.conformance("CC-06")
def test_delegation_when_an_operator_revokes_it_then_no_new_one_is_opened(story):
    token = story.client_credentials().json()["access_token"]
    assert story.is_active(token)
    with recorded("delegation.revoked"):
        revocation.subtree(
            Delegation.objects.get(), RequestContext("user:7"), reason="stopped by operator"
        )
    assert story.introspect(token).json() == {"active": False}
    for scope in (None, "read:metrics"):
        with refusal_recorded("unauthorized_client", client_id_value="cron"):
            refused(story.client_credentials(scope=scope), "unauthorized_client")


def test_delegation_when_it_is_not_revoked_then_other_clients_are_not_affected(story, world):
    story.client_credentials()
    revocation.subtree(
        Delegation.objects.get(), RequestContext("user:7"), reason="stopped by operator"
    )
    assert story.client_credentials(world.service_b_client).status_code == 200


def test_client_when_it_is_disabled_then_its_tokens_end_and_it_gets_no_new_one(story, world):
    token = story.client_credentials().json()["access_token"]
    world.cron.change(enabled=False)
    assert not story.is_active(token)
    with refusal_recorded("invalid_client"):
        refused(story.client_credentials(), "invalid_client", 401)


def test_token_when_its_ten_minutes_are_over_then_it_is_inactive(story, clock):
    token = story.client_credentials().json()["access_token"]
    clock.forward(seconds=599)
    assert story.is_active(token)
    clock.forward(seconds=1)
    assert not story.is_active(token)
