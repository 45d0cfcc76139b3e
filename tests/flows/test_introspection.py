"""Asking about tokens: RFC 7662."""

import pytest
from django.test import override_settings

from delegation_app.models import AccessToken, Delegation
from tests.support.answers import (
    each,
    never_stored,
    nothing_stored,
    recorded,
    refusal_recorded,
    refused,
)
from tests.support.world import SERVICE_A, SERVICE_B, claims_of, delegation_of

pytestmark = pytest.mark.compat

INACTIVE = b'{"active": false}'


def inactive(response):
    """Check that the answer says nothing but no."""
    assert response.status_code == 200
    assert response["Content-Type"] == "application/json"
    never_stored(response)
    assert response.content == INACTIVE


@pytest.mark.conformance("IN-01")
def test_caller_when_it_knows_only_a_client_id(story, world):
    token = story.tokens()["access_token"]
    for app in (world.service_a_client, world.operator_tool, world.web):
        with refusal_recorded("invalid_client"):
            response = story.post("/oauth/introspect", {"token": token, "client_id": app.client_id})
        refused(response, "invalid_client", 401)


@pytest.mark.conformance("IN-03", "IN-06", "IN-10")
def test_access_token_when_active(story, world):
    answer = story.tokens()
    with recorded():
        response = story.introspect(answer["access_token"])
    assert response.status_code == 200
    assert response["Content-Type"] == "application/json"
    never_stored(response)
    told, claims = response.json(), claims_of(answer["access_token"])
    assert told.pop("active") is True
    assert told.pop("token_type") == "Bearer"
    for name in ("auth_time", "acr", "status"):
        del claims[name]
    assert told == claims
    assert told["scope"] == "read:metrics write:alerts"
    assert told["client_id"] == "web"
    assert told["sub"] == f"user:{world.alice.pk}"
    assert told["aud"] == SERVICE_A
    assert told["iss"] == "https://as.example.com"
    assert told["exp"] - told["iat"] == 600
    assert told["nbf"] == told["iat"]
    assert told["delegation_id"] == str(delegation_of(answer).public_id)


@pytest.mark.conformance("IN-03", "IN-06")
def test_opaque_token_when_active(story, world):
    world.service_a.token_format = "opaque"
    world.service_a.save()
    told = story.introspect(story.tokens()["access_token"]).json()
    row = AccessToken.objects.get()
    assert told == {
        "active": True, "token_type": "Bearer", "jti": row.jti, "iss": "https://as.example.com",
        "sub": f"user:{world.alice.pk}", "aud": SERVICE_A, "client_id": "web",
        "scope": "read:metrics write:alerts", "iat": int(row.issued_at.timestamp()),
        "nbf": int(row.issued_at.timestamp()), "exp": int(row.expires_at.timestamp()),
        "delegation_id": str(row.delegation.public_id),
    }  # fmt: skip


@pytest.mark.conformance("IN-03")
def test_refresh_token_when_its_own_client_asks(story, world):
    told = story.introspect(story.tokens()["refresh_token"], world.web).json()
    assert told["active"] is True
    assert told["client_id"] == "web"
    # It is nobody's to present at a resource.
    assert "token_type" not in told


@pytest.mark.conformance("IN-04")
def test_token_when_unknown_or_malformed(story, world):
    for token in [
        "unknown", "a" * 43, "a" * 54, "a.b.c", "....", "é", "[]", "null", "a" * 60_000, "a b",
    ]:  # fmt: skip
        for caller in ["service_a_client", "operator_tool", "web"]:
            with each((token, caller)):
                with nothing_stored(), recorded():
                    response = story.introspect(token, world.apps[caller])
                inactive(response)


@pytest.mark.conformance("IN-04", "IN-09")
def test_token_when_it_is_none_of_the_callers_business(story, world):
    for caller in ["service_b_client", "other", "cron"]:
        for kind in ["access_token", "refresh_token"]:
            with each((caller, kind)):
                token = story.tokens()[kind]
                with nothing_stored(), recorded():
                    response = story.introspect(token, world.apps[caller])
                inactive(response)


@pytest.mark.conformance("IN-04", "IN-05")
def test_token_when_it_has_expired(story, world, clock):
    tokens = story.tokens()
    clock.forward(seconds=600)
    inactive(story.introspect(tokens["access_token"]))
    assert story.is_active(tokens["refresh_token"], world.web)
    clock.forward(days=30)
    inactive(story.introspect(tokens["refresh_token"], world.web))


@pytest.mark.conformance("IN-04", "IN-05")
def test_refresh_token_when_it_was_rotated(story, world):
    first = story.tokens()
    story.refresh(first["refresh_token"])
    inactive(story.introspect(first["refresh_token"], world.web))
    assert story.is_active(first["access_token"])


@pytest.mark.conformance("IN-05")
def test_token_when_it_names_another_issuer(story):
    token = story.tokens()["access_token"]
    with override_settings(DELEGATION={"ISSUER": "https://as.example.com/"}):
        inactive(story.introspect(token))


@pytest.mark.conformance("IN-05")
def test_token_when_it_is_not_valid_yet(story, clock):
    clock.forward(seconds=60)
    token = story.tokens()["access_token"]
    clock.forward(seconds=-60)
    inactive(story.introspect(token))


@pytest.mark.conformance("IN-08")
def test_hint_when_wrong_or_unknown(story, world):
    for kind in ["access_token", "refresh_token"]:
        for hint in ["access_token", "refresh_token", "foo", "é"]:
            with each((kind, hint)):
                token = story.tokens()[kind]
                told = story.introspect(token, world.web, token_type_hint=hint).json()
                assert told["active"] is True


@pytest.mark.conformance("IN-09")
def test_scope_when_a_resource_server_asks(story, world):
    world.service_b.scopes = "write:alerts"
    world.service_b.save()
    token = story.tokens(
        scope="read:metrics write:alerts read:profile", resource=[SERVICE_A, SERVICE_B]
    )["access_token"]
    told_a = story.introspect(token, world.service_a_client).json()
    told_b = story.introspect(token, world.service_b_client).json()
    told_own = story.introspect(token, world.web).json()
    assert told_a["scope"] == "read:metrics read:profile write:alerts"
    assert told_b["scope"] == "write:alerts"
    assert told_own["scope"] == "read:metrics read:profile write:alerts"


def test_members_when_a_resource_server_asks(story, world):
    token = story.tokens()["access_token"]
    for caller in (world.service_a_client, world.operator_tool, world.web):
        told = story.introspect(token, caller).json()
        # delegation_id is told to everybody by decision of the issue; the token says it too.
        assert not {"parent", "root", "path", "consent", "constraints", "metadata"} & told.keys()


@pytest.mark.conformance("IN-14")
def test_token_when_missing(story, world):
    for token in (None, ""):
        with refusal_recorded("invalid_request", client_id_value="service-a"):
            refused(story.introspect(token, foo="bar"), "invalid_request")


def test_last_use_when_a_resource_server_asks(story, world, clock):
    tokens = story.tokens()
    story.introspect(tokens["access_token"], world.web)
    # Its issue is on record, and no presentation
    assert Delegation.objects.unpresented().exists()
    story.introspect(tokens["access_token"])
    noted = delegation_of(tokens).last_used_at
    assert noted == clock.time
    clock.forward(seconds=60)
    story.introspect(tokens["access_token"])
    assert delegation_of(tokens).last_used_at == noted
    clock.forward(seconds=1)
    story.introspect(tokens["access_token"])
    assert delegation_of(tokens).last_used_at == clock.time
