"""Giving tokens back: RFC 7009."""

from unittest import mock

import pytest
from django.db import OperationalError

from delegation_app.models import AccessToken, AuditEvent
from tests.support.answers import (
    never_stored,
    nothing_stored,
    recorded,
    refusal_recorded,
    refused,
    refuses,
)
from tests.support.world import delegation_of

# Client, token, codes, and the event in its transaction
OF_A_STRANGER = 4
HINTS = (None, "access_token", "refresh_token", "foo", "urn:x", "é")


@pytest.mark.conformance("RV-01", "RV-06", "RV-09", "DG-12", "DG-04")
def test_refresh_token_when_revoked(story, world):
    first = story.tokens()
    second = story.refresh(first["refresh_token"]).json()
    with recorded("delegation.revoked"):
        response = story.revoke(second["refresh_token"])
    assert response.status_code == 200
    assert response.content == b""
    never_stored(response)
    for tokens in (first, second):
        assert story.introspect(tokens["access_token"]).json() == {"active": False}
        assert story.introspect(tokens["refresh_token"], world.web).json() == {"active": False}
        refused(story.refresh(tokens["refresh_token"]), "invalid_grant")
    # No token row was written: their validity is the delegation's.
    assert not AccessToken.objects.exclude(revoked_at=None).exists()


@pytest.mark.conformance("RV-01", "RV-09")
def test_used_refresh_token_when_revoked(story):
    first = story.tokens()
    second = story.refresh(first["refresh_token"]).json()
    with recorded("delegation.revoked"):
        assert story.revoke(first["refresh_token"]).status_code == 200
    refused(story.refresh(second["refresh_token"]), "invalid_grant")


@pytest.mark.conformance("RV-01", "RV-09")
@pytest.mark.parametrize("token_format", ["jwt", "opaque"])
def test_access_token_when_revoked(story, world, token_format):
    world.service_a.token_format = token_format
    world.service_a.save()
    first = story.tokens()
    second = story.refresh(first["refresh_token"]).json()
    with recorded("token.revoked"):
        response = story.revoke(first["access_token"])
    assert response.status_code == 200
    assert story.introspect(first["access_token"]).json() == {"active": False}
    assert story.is_active(second["access_token"])
    assert story.refresh(second["refresh_token"]).status_code == 200


@pytest.mark.conformance("RV-01")
def test_access_token_when_a_client_that_acts_for_itself_revokes_it(story, world):
    token = story.client_credentials().json()["access_token"]
    assert story.revoke(token, world.cron).status_code == 200
    assert not story.is_active(token)
    assert story.is_active(story.client_credentials().json()["access_token"])


@pytest.mark.conformance("RV-02")
def test_client_when_it_is_not_authenticated(story, world):
    tokens = story.tokens()
    for token in (tokens["access_token"], tokens["refresh_token"]):
        for credentials in (
            {},
            {"client_id": "web"},
            {"client_id": "web", "client_secret": "wrong"},
            {"client_id": "nobody", "client_secret": world.web.secret},
        ):
            with refusal_recorded("invalid_client"):
                response = story.post("/oauth/revoke", {"token": token, **credentials})
            refused(response, "invalid_client", 401)
    assert story.is_active(tokens["access_token"])


@pytest.mark.conformance("RV-02")
def test_public_client_when_it_names_itself(story, world):
    tokens = story.tokens(world.mobile)
    with recorded("delegation.revoked"):
        assert story.revoke(tokens["refresh_token"], world.mobile).status_code == 200
    assert not story.is_active(tokens["access_token"])


@pytest.mark.conformance("RV-03")
@pytest.mark.parametrize("token", ["unknown", "a" * 43, "a" * 54, "a.b.c", "é", "a" * 60_000, "{}"])
@pytest.mark.parametrize("hint", ["access_token", "refresh_token", None])
def test_token_when_unknown_or_malformed(story, token, hint):
    # An event as for another client's token: time must not tell the two apart
    with nothing_stored(), refusal_recorded("invalid_token", delegation=None):
        response = story.revoke(token, token_type_hint=hint)
    assert response.status_code == 200
    assert response.content == b""
    never_stored(response)


@pytest.mark.conformance("RV-03")
def test_token_when_it_has_expired(story, world, clock):
    tokens = story.tokens()
    clock.forward(minutes=10)
    with recorded("token.revoked"):
        assert story.revoke(tokens["access_token"]).status_code == 200
    # Whoever gives back an old refresh token wants the grant to end, not only that token.
    clock.forward(days=31)
    with recorded("delegation.revoked"):
        assert story.revoke(tokens["refresh_token"]).status_code == 200


@pytest.mark.conformance("RV-03")
def test_token_when_revoked_already(story):
    tokens = story.tokens()
    for token in (tokens["access_token"], tokens["refresh_token"]):
        assert story.revoke(token).status_code == 200
        with nothing_stored(), recorded():
            again = story.revoke(token)
        assert again.status_code == 200


@pytest.mark.conformance("RV-04")
@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
@pytest.mark.parametrize("thief", ["other", "mobile", "service_a_client", "operator_tool"])
def test_token_when_it_is_another_clients(story, kind, thief):
    tokens, app = story.tokens(), story.world.apps[thief]
    told = {"client_id_value": app.client_id, "delegation": delegation_of(tokens)}
    with nothing_stored(), refusal_recorded("invalid_token", **told):
        response = story.revoke(tokens[kind], app)
    assert (response.status_code, response.content) == (200, b"")
    assert like(response) == like(story.revoke("a" * 43, app))
    assert story.is_active(tokens["access_token"])
    assert story.refresh(tokens["refresh_token"]).status_code == 200
    detail = AuditEvent.objects.filter(outcome="refused").earliest("pk").details["detail"]
    assert detail == "the token was issued to another client"


@pytest.mark.conformance("RV-04")
def test_token_when_unknown_or_another_clients(story, world, django_assert_num_queries):
    tokens = story.tokens()
    for presented in (tokens["refresh_token"], "a" * 43):
        story.revoke(presented, world.other)
        with django_assert_num_queries(OF_A_STRANGER):
            story.revoke(presented, world.other)


def like(response):
    """All that an answer tells, without the id of its request."""
    headers = {name: value for name, value in response.items() if name != "X-Request-Id"}
    return response.status_code, response.content, headers


@pytest.mark.conformance("RV-05")
@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
@pytest.mark.parametrize("hint", HINTS)
def test_hint_when_wrong_or_unknown(story, world, kind, hint):
    tokens = story.tokens()
    event = "token.revoked" if kind == "access_token" else "delegation.revoked"
    with recorded(event):
        assert story.revoke(tokens[kind], token_type_hint=hint).status_code == 200
    assert story.introspect(tokens[kind], world.web).json() == {"active": False}


@pytest.mark.conformance("RV-08")
def test_token_when_missing(story, world):
    for token in (None, ""):
        with refusal_recorded("invalid_request"):
            refused(story.revoke(token, foo="bar"), "invalid_request")


@pytest.mark.conformance("RV-08")
def test_code_when_given_back(story):
    code = story.code()
    refuses("unsupported_token_type", lambda: story.revoke(code))
    assert story.redeem(code).status_code == 200


@pytest.mark.conformance("RV-08")
def test_code_when_it_is_of_a_public_client(story, world):
    # Whoever found it could name the client, and would learn that it is good
    code = story.code(world.mobile)
    assert like(story.revoke(code, world.mobile)) == like(story.revoke("a" * 43, world.mobile))
    assert story.redeem(code, world.mobile).status_code == 200


@pytest.mark.conformance("RV-10")
@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
def test_database_when_it_fails(story, world, kind):
    tokens = story.tokens()
    failure = mock.patch(
        "django.db.models.query.QuerySet.update", side_effect=OperationalError("disk is full")
    )
    with nothing_stored(), recorded(), failure:
        response = story.revoke(tokens[kind])
    refused(response, "temporarily_unavailable", 503)
    assert int(response["Retry-After"]) > 0
    assert b"disk" not in response.content
    assert story.is_active(tokens["access_token"])
    assert story.revoke(tokens[kind]).status_code == 200
    assert not story.is_active(tokens["access_token"])


@pytest.mark.conformance("RV-12")
def test_event_when_a_refresh_token_is_revoked(story, world):
    tokens = story.tokens()
    response = story.post(
        "/oauth/revoke",
        {"token": tokens["refresh_token"]},
        world.web,
        HTTP_X_REQUEST_ID="request-4711",
    )
    assert response.status_code == 200
    event = AuditEvent.objects.get(event="delegation.revoked")
    assert event.actor == "client:web"
    assert event.subject == f"user:{world.alice.pk}"
    assert event.client_id_value == "web"
    assert event.delegation == delegation_of(tokens)
    assert event.reason == "refresh token revoked by the client"
    assert event.details == {"delegations": 1}
    assert event.ip_address == "127.0.0.1"
    assert event.request_id == response["X-Request-Id"] != "request-4711"
    delegation = delegation_of(tokens)
    assert delegation.revoked_by == "client:web"
    assert delegation.revocation_reason == event.reason
