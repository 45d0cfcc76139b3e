"""The protected API beside the authorization server: what only the tables and this API decide.

The refusals of `BearerAuthentication` are shown in tests/resource_server.
"""

import json
from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIRequestFactory

from delegation_app.models import AccessToken, Delegation, ResourceServer
from delegation_app.services import audit
from delegation_app.services.delegations import revocation
from example_project.api.same_process import authentication_of
from example_project.api.services import SERVICE_A
from example_project.api.views import ProtectedView
from tests.support import SecureClient
from tests.support.world import SERVICE_B, claims_of, delegation_of

METRICS, ALERTS = "/api/metrics", "/api/alerts"


@pytest.fixture
def tokens(story):
    return story.tokens(scope="read:metrics write:alerts")


def headers(token):
    return {"HTTP_AUTHORIZATION": f"Bearer {token}"}


def raise_alert(client, token):
    body = json.dumps({"message": "hot"})
    return client.post(ALERTS, body, content_type="application/json", **headers(token))


def assert_refused(response, status, error):
    assert response.status_code == status, response.content
    assert f'error="{error}"' in response["WWW-Authenticate"]
    assert response.json()["error"] == error
    assert response["Cache-Control"] == "no-store"


# Accepted tokens


@pytest.mark.conformance("BR-01", "BR-07")
def test_metrics_has_who_acts_for_whom(client, world, tokens):
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


def test_alert_is_returned(client, tokens):
    answer = raise_alert(client, tokens["access_token"])
    assert answer.status_code == 201
    assert answer.json()["alert"]["message"] == "hot"
    assert answer.json()["authority"]["client_id"] == "web"


def test_client_that_acts_for_itself_is_the_subject(client, story):
    token = story.client_credentials().json()["access_token"]
    answer = client.get(METRICS, **headers(token))
    assert answer.json()["authority"]["subject"] == "client:cron"


def test_session_of_another_user_does_not_count(csrf_client, world, tokens):
    csrf_client.force_login(world.bob)
    assert raise_alert(csrf_client, tokens["access_token"]).status_code == 201
    assert csrf_client.get(METRICS).status_code == 401


# Refused tokens


def test_refresh_token_is_refused(client, tokens):
    assert_refused(client.get(METRICS, **headers(tokens["refresh_token"])), 401, "invalid_token")


def test_token_for_another_audience_is_refused(client, story):
    token = story.tokens(resource=SERVICE_B)["access_token"]
    assert claims_of(token)["aud"] == SERVICE_B
    assert_refused(client.get(METRICS, **headers(token)), 401, "invalid_token")


def test_expired_token_is_refused(client, tokens):
    AccessToken.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert_refused(client.get(METRICS, **headers(tokens["access_token"])), 401, "invalid_token")


def test_revocation_takes_effect_immediately(client, tokens):
    token = tokens["access_token"]
    assert client.get(METRICS, **headers(token)).status_code == 200
    revocation.subtree(delegation_of(tokens), audit.RequestContext(), reason="it is over")
    assert_refused(client.get(METRICS, **headers(token)), 401, "invalid_token")
    assert_refused(raise_alert(client, token), 401, "invalid_token")


@pytest.mark.parametrize("disabled", ["user", "client", "server"])
def test_token_of_a_disabled_party_is_refused(client, world, tokens, disabled):
    if disabled == "user":
        get_user_model().objects.filter(pk=world.alice.pk).update(is_active=False)
    elif disabled == "client":
        world.web.change(enabled=False)
    else:
        ResourceServer.objects.filter(pk=world.service_a.pk).update(active=False)
    assert_refused(client.get(METRICS, **headers(tokens["access_token"])), 401, "invalid_token")


@pytest.mark.conformance("RS-05", "BR-05", "BR-06")
def test_missing_scope_is_named(client, story):
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


def test_token_loses_the_scope_that_its_policy_loses(client, world, tokens):
    world.web.change(scopes="read:metrics")
    answer = raise_alert(client, tokens["access_token"])
    assert answer.json()["provided"] == ["read:metrics"]


def test_view_without_required_scopes_accepts_no_token(tokens):
    class Forgetful(ProtectedView):
        def get(self, request):
            raise AssertionError("it answered")

    request = APIRequestFactory().get("/", **headers(tokens["access_token"]))
    view = Forgetful.as_view(authentication_classes=[authentication_of(SERVICE_A)])
    with pytest.raises(ImproperlyConfigured, match="Forgetful has no required_scopes"):
        view(request)


# Statements, outages and bodies


def test_call_costs_at_most_two_statements(client, tokens):
    Delegation.objects.update(last_used_at=None)
    with CaptureQueriesContext(connection) as first:
        assert raise_alert(client, tokens["access_token"]).status_code == 201
    with CaptureQueriesContext(connection) as second:
        assert raise_alert(client, tokens["access_token"]).status_code == 201
    # Recording the use is a savepoint in the transaction of the test
    made = [query for query in first if "SAVEPOINT" not in query["sql"]]
    assert len(made) <= 2, first.captured_queries
    assert len(second) == 1, second.captured_queries


def test_call_without_a_database_is_503(client, tokens):
    def fail(*_args):
        raise OperationalError("gone")

    with connection.execute_wrapper(fail):
        answer = client.get(METRICS, **headers(tokens["access_token"]))
    assert answer.status_code == 503
    assert answer.json()["error"] == "temporarily_unavailable"
    assert int(answer["Retry-After"]) > 0
    assert "WWW-Authenticate" not in answer
    assert answer["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        ("", "application/json", 201),
        ('{"message": "x", "more": 1}', "application/json", 201),
        ("{", "application/json", 400),
        ("[]", "application/json", 400),
        ('{"message": ["x"]}', "application/json", 400),
        (r'{"message": "\u0000"}', "application/json", 400),
        (r'{"message": "\ud800"}', "application/json", 400),
        ('{"message": "%s"}' % ("x" * 1_000_000), "application/json", 400),
        ("[" * 100_000, "application/json", 400),
        (b"\xff", "application/json", 400),
        ("message=x", "application/x-www-form-urlencoded", 415),
    ],
    ids=range(11),
)
def test_no_body_is_a_server_error(tokens, body, content_type, status):
    careful = SecureClient(raise_request_exception=False)
    answer = careful.post(
        ALERTS, body, content_type=content_type, **headers(tokens["access_token"])
    )
    assert answer.status_code == status


@pytest.mark.parametrize(("method", "path"), [("post", METRICS), ("get", ALERTS), ("put", ALERTS)])
def test_wrong_method_is_405(client, tokens, method, path):
    answer = getattr(client, method)(path, **headers(tokens["access_token"]))
    assert answer.status_code == 405
    assert answer["Cache-Control"] == "no-store"
