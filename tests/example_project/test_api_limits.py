"""The protected API: what a call costs, without a database, and with bodies of every kind."""

import json

import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext

from delegation_app.models import Delegation
from tests.support import SecureClient

METRICS, ALERTS = "/api/metrics", "/api/alerts"


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


# What it costs, and what happens without a database


def test_api_when_called_then_at_most_two_statements(client, tokens):
    Delegation.objects.update(last_used_at=None)
    with CaptureQueriesContext(
        connection,
    ) as first:
        assert raise_alert(client, tokens["access_token"]).status_code == 201
    with CaptureQueriesContext(connection) as second:
        assert raise_alert(client, tokens["access_token"]).status_code == 201
    # Noting the use is a savepoint in the transaction of the test
    made = [query for query in first if "SAVEPOINT" not in query["sql"]]
    assert len(made) <= 2, first.captured_queries
    assert len(second) == 1, second.captured_queries


def test_api_when_the_database_is_gone_then_503(client, tokens):
    def fail(*_args):
        raise OperationalError("gone")

    with connection.execute_wrapper(fail):
        answer = client.get(METRICS, **headers(tokens["access_token"]))
    assert answer.status_code == 503
    assert answer.json()["error"] == "temporarily_unavailable"
    assert int(answer["Retry-After"]) > 0
    assert "WWW-Authenticate" not in answer
    assert answer["Cache-Control"] == "no-store"


# Bad bodies


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        ("", "application/json", 201),
        ("{}", "application/json", 201),
        ('{"message": "x", "more": 1}', "application/json", 201),
        ("{", "application/json", 400),
        ("[]", "application/json", 400),
        ('"x"', "application/json", 400),
        ('{"message": ""}', "application/json", 400),
        ('{"message": ["x"]}', "application/json", 400),
        (r'{"message": "\u0000"}', "application/json", 400),
        (r'{"message": "\ud800"}', "application/json", 400),
        ('{"message": "%s"}' % ("x" * 1_000_000), "application/json", 400),
        ("[" * 100_000, "application/json", 400),
        (b"\xff", "application/json", 400),
        ("message=x", "application/x-www-form-urlencoded", 415),
        ("x", "text/plain", 415),
    ],
    ids=range(15),
)
def test_alerts_when_body_is_anything_then_no_5xx(tokens, body, content_type, status):
    careful = SecureClient(raise_request_exception=False)
    answer = careful.post(
        ALERTS, body, content_type=content_type, **headers(tokens["access_token"])
    )
    assert answer.status_code == status


@pytest.mark.parametrize(("method", "path"), [("post", METRICS), ("get", ALERTS), ("put", ALERTS)])
def test_api_when_method_is_wrong_then_405(client, tokens, method, path):
    answer = getattr(client, method)(path, **headers(tokens["access_token"]))
    assert answer.status_code == 405
    assert answer["Cache-Control"] == "no-store"
