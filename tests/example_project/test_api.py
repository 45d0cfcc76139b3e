"""The protected API: who gets in, what is refused, and how it says so."""

import json
import re
from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone
from rest_framework.test import APIRequestFactory

from delegation_app.models import AccessToken, ResourceServer
from delegation_app.services import audit
from delegation_app.services.delegations import revocation
from example_project.api.neighbours import authentication_of
from example_project.api.services import SERVICE_A
from example_project.api.views import ProtectedView
from tests.support.world import SERVICE_B, claims_of, delegation_of

METRICS, ALERTS = "/api/metrics", "/api/alerts"
CHALLENGE = re.compile(r'Bearer [a-z_]+="[^"\\]*"(, [a-z_]+="[^"\\]*")*')


@pytest.fixture
def tokens(story):
    return story.tokens(scope="read:metrics write:alerts")


def headers(token):
    return {"HTTP_AUTHORIZATION": f"Bearer {token}"}


def raise_alert(client, token, body=None, **more):
    return client.post(
        ALERTS,
        json.dumps({"message": "hot"} if body is None else body),
        content_type="application/json",
        **headers(token),
        **more,
    )


def assert_refused(response, status, error=None):
    """The status, a challenge in good form, and the error in it and in the body."""
    assert response.status_code == status, response.content
    challenge = response["WWW-Authenticate"]
    assert CHALLENGE.fullmatch(challenge)
    names = re.findall(r"([a-z_]+)=", challenge)
    assert len(names) == len(set(names))
    assert names[0] == "realm"
    if error is None:
        assert "error" not in challenge
    else:
        assert f'error="{error}"' in challenge
        assert response.json()["error"] == error
    assert response["Cache-Control"] == "no-store"


# Who gets in


@pytest.mark.conformance("BR-01", "BR-07")
def test_metrics_when_token_is_good_then_answer_says_who_acts_for_whom(client, world, tokens):
    answer = client.get(METRICS, **headers(tokens["access_token"]))
    assert answer.status_code == 200
    assert answer["Cache-Control"] == "no-store"
    assert answer.json()["authority"] == {
        "subject": f"user:{world.alice.pk}",
        "client_id": "web",
        "actor": None,
        "history": [],
        "delegation_id": str(delegation_of(tokens).public_id),
        "scopes": ["read:metrics", "write:alerts"],
    }
    assert all(number >= 0 for number in answer.json()["metrics"].values())


def test_alerts_when_token_is_good_then_alert_is_answered(client, tokens):
    answer = raise_alert(client, tokens["access_token"])
    assert answer.status_code == 201
    assert answer.json()["alert"]["message"] == "hot"
    assert answer.json()["authority"]["client_id"] == "web"


def test_api_when_client_acts_for_itself_then_it_is_the_subject(client, story):
    token = story.client_credentials().json()["access_token"]
    answer = client.get(METRICS, **headers(token))
    assert answer.json()["authority"]["subject"] == "client:cron"


@pytest.mark.conformance("BR-01")
@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "bEaReR"])
def test_api_when_scheme_has_another_case_then_it_is_the_same(client, tokens, scheme):
    header = f"{scheme} {tokens['access_token']}"
    assert client.get(METRICS, HTTP_AUTHORIZATION=header).status_code == 200


def test_api_when_csrf_is_enforced_and_a_session_is_there_then_only_the_token_counts(
    csrf_client, world, tokens
):
    csrf_client.force_login(world.bob)
    assert raise_alert(csrf_client, tokens["access_token"]).status_code == 201
    assert csrf_client.get(METRICS).status_code == 401


# Without a token


@pytest.mark.conformance("BR-04")
@pytest.mark.parametrize("header", [None, "", "Basic d2ViOng=", "Digest a=b", "Bearerx y"])
def test_api_when_there_is_no_token_then_it_is_asked_for_without_an_error(client, db, header):
    sent = {} if header is None else {"HTTP_AUTHORIZATION": header}
    assert_refused(client.get(METRICS, **sent), 401)
    assert_refused(client.post(ALERTS, **sent), 401)


@pytest.mark.conformance("BR-02")
def test_api_when_token_is_in_the_query_then_it_is_not_taken(client, tokens):
    assert_refused(client.get(METRICS, {"access_token": tokens["access_token"]}), 401)


def test_api_when_token_is_in_the_body_then_it_is_not_taken(client, story, tokens):
    assert_refused(story.post(ALERTS, {"access_token": tokens["access_token"]}), 401)


@pytest.mark.conformance("BR-03", "BR-05")
def test_api_when_token_is_sent_in_two_ways_then_the_request_is_invalid(client, story, tokens):
    token = tokens["access_token"]
    in_both = story.post(ALERTS, {"access_token": token}, **headers(token))
    assert_refused(in_both, 400, "invalid_request")
    in_query_too = client.get(METRICS, {"access_token": token}, **headers(token))
    assert_refused(in_query_too, 400, "invalid_request")


@pytest.mark.conformance("BR-05")
@pytest.mark.parametrize("header", ["Bearer", "Bearer ", "Bearer a b", "Bearer a, Bearer b"])
def test_api_when_header_is_malformed_then_the_request_is_invalid(client, db, header):
    assert_refused(client.get(METRICS, HTTP_AUTHORIZATION=header), 400, "invalid_request")


# With a token that is not valid here


@pytest.mark.conformance("BR-05")
@pytest.mark.parametrize("token", ["x", "a.b.c", "é.ü.ö", "x" * 54, "x" * 43, "x" * 100_000])
def test_api_when_token_is_garbage_then_401(client, db, token):
    assert_refused(client.get(METRICS, **headers(token)), 401, "invalid_token")


def test_api_when_signature_is_changed_then_401(client, tokens):
    head, payload, signature = tokens["access_token"].split(".")
    for forged in (f"{head}.{payload}.{signature[::-1]}", f"{head}.{payload}."):
        assert_refused(client.get(METRICS, **headers(forged)), 401, "invalid_token")


def test_api_when_refresh_token_is_presented_then_401(client, tokens):
    assert_refused(client.get(METRICS, **headers(tokens["refresh_token"])), 401, "invalid_token")


def test_api_when_token_is_for_another_audience_then_401(client, story):
    token = story.tokens(resource=SERVICE_B)["access_token"]
    assert claims_of(token)["aud"] == SERVICE_B
    assert_refused(client.get(METRICS, **headers(token)), 401, "invalid_token")


def test_api_when_token_is_expired_then_401(client, tokens):
    AccessToken.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert_refused(client.get(METRICS, **headers(tokens["access_token"])), 401, "invalid_token")


def test_api_when_delegation_is_revoked_then_401_at_once(client, tokens):
    token = tokens["access_token"]
    assert client.get(METRICS, **headers(token)).status_code == 200
    revocation.subtree(delegation_of(tokens), audit.RequestContext(), reason="it is over")
    assert_refused(client.get(METRICS, **headers(token)), 401, "invalid_token")
    assert_refused(raise_alert(client, token), 401, "invalid_token")


@pytest.mark.parametrize("gone", ["person", "client", "server"])
def test_api_when_somebody_is_disabled_then_401(client, world, tokens, gone):
    if gone == "person":
        get_user_model().objects.filter(pk=world.alice.pk).update(is_active=False)
    elif gone == "client":
        world.web.change(enabled=False)
    else:
        ResourceServer.objects.filter(pk=world.service_a.pk).update(active=False)
    assert_refused(client.get(METRICS, **headers(tokens["access_token"])), 401, "invalid_token")


# With a token that does not reach far enough


@pytest.mark.conformance("RS-05", "BR-05", "BR-06")
def test_api_when_scope_is_missing_then_403_says_which(client, story):
    token = story.tokens(scope="read:metrics read:profile")["access_token"]
    answer = raise_alert(client, token)
    assert_refused(answer, 403, "insufficient_scope")
    assert answer.json() == {
        "error": "insufficient_scope",
        "required": ["write:alerts"],
        "provided": ["read:metrics", "read:profile"],
    }
    assert 'scope="write:alerts"' in answer["WWW-Authenticate"]
    assert client.get(METRICS, **headers(token)).status_code == 200


def test_api_when_policy_loses_a_scope_then_the_token_loses_it_too(client, world, tokens):
    world.web.change(scopes="read:metrics")
    answer = raise_alert(client, tokens["access_token"])
    assert answer.json()["provided"] == ["read:metrics"]


def test_view_when_it_does_not_say_what_it_needs_then_nobody_gets_in(tokens):
    class Forgetful(ProtectedView):
        def get(self, request):
            raise AssertionError("it answered")

    request = APIRequestFactory().get("/", **headers(tokens["access_token"]))
    view = Forgetful.as_view(authentication_classes=[authentication_of(SERVICE_A)])
    with pytest.raises(ImproperlyConfigured, match="Forgetful has no required_scopes"):
        view(request)
