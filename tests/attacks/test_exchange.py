"""Attacks on token exchange: group F of the threat list, and its neighbours."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from delegation_app.protocol import names
from delegation_app.protocol.constraints import Constraints
from delegation_app.services.audit import RequestContext
from tests.support.answers import recorded, refusal_recorded, refused
from tests.support.chains import acting_with, handed_on, last_event, own_token
from tests.support.world import SERVICE_A, SERVICE_B, SERVICE_C, claims_of, delegation_of

OPERATOR = RequestContext("user:7")
ALL = ("authorization_code", "refresh_token", "client_credentials", names.TOKEN_EXCHANGE)


@pytest.fixture
def tokens(story):
    return story.tokens()


@pytest.fixture
def grants(story, world):
    """Each grant as a request of one client, service A's, which may use all of them.

    What each needs was got before; so what is refused later is refused for the policy alone.
    """
    app = world.service_a_client
    app.change(grants=ALL, may_refresh_exchanged_tokens=True, default_audience=world.service_b)
    app.row.redirect_uris = "https://service-a.example.com/callback"
    app.row.authorization_grant_type = "authorization-code"
    app.row.save()
    granted, code = story.tokens(app), story.code(app, prompt="consent")
    subject = story.tokens()["access_token"]
    child = handed_on(story, subject, scope="read:metrics")
    scope = {"scope": "read:metrics"}
    return {
        "code": lambda: story.redeem(code, app),
        "refresh": lambda: story.refresh(granted["refresh_token"], app, **scope),
        "refresh of a child": lambda: story.refresh(child["refresh_token"], app, **scope),
        "client credentials": lambda: story.client_credentials(app, **scope),
        "exchange": lambda: story.exchange(subject, **scope),
    }


def narrow_policy(**changes):
    return lambda world: world.service_a_client.change(**changes)


def limited(*members):
    return narrow_policy(constraints=Constraints.parse(list(members)))


# F2, F7, F8: whose token, whose actor, and where to


@pytest.mark.conformance("TX-33", "TX-50")
def test_f2_token_when_stolen_by_a_client_that_may_exchange(story, world):
    tokens = story.tokens(world.other)
    thief = world.service_c_client
    thief.change(grants=ALL)
    row = delegation_of(tokens)
    for changes in (
        {},
        acting_with(own_token(story, thief)),
        {"client_id": "service-a"},
        {"act": '{"sub":"client:service-c"}'},
    ):
        with refusal_recorded("invalid_request"):
            response = story.exchange(tokens["access_token"], thief, audience=SERVICE_A, **changes)
        refused(response, "invalid_request")
    assert last_event(event="request.refused").delegation in {row, None}


@pytest.mark.conformance("TX-21", "TX-48")
def test_f8_client_when_it_holds_a_token(story, world):
    """What A got for B it may not turn into one for C, though A may go there with others."""
    a = world.service_a_client
    a.policy.audiences.add(world.service_c)
    child = handed_on(story, story.tokens()["access_token"])
    with refusal_recorded("invalid_target", delegation=delegation_of(child)):
        refused(story.exchange(child["access_token"], a, audience=SERVICE_C), "invalid_target")


@pytest.mark.conformance("TX-22", "DG-02")
def test_f8_grandchild_when_its_parent_had_less(story, world):
    root = story.tokens()["access_token"]
    child = handed_on(story, root, scope="read:metrics")
    b = world.service_b_client
    for scope in ("write:alerts", "read:metrics write:alerts"):
        with refusal_recorded("invalid_scope", delegation=delegation_of(child)):
            response = story.exchange(child["access_token"], b, audience=SERVICE_C, scope=scope)
        refused(response, "invalid_scope")
    leaf = handed_on(story, child["access_token"], b, audience=SERVICE_C)
    assert leaf["scope"] == "read:metrics"


# F11: lifetime laundering


@pytest.mark.conformance("TX-23", "TX-39")
def test_f11_token_when_passed_round_and_round(story, world, clock):
    a, b = world.service_a_client, world.service_b_client
    for app in (a, b):
        app.change(access_token_lifetime=100_000)
    token = story.tokens()["access_token"]
    ends = claims_of(token)["exp"]
    for app, audience in ((a, SERVICE_B), (b, SERVICE_A), (a, SERVICE_B), (a, SERVICE_B)):
        clock.forward(seconds=60)
        token = handed_on(story, token, app, audience=audience)["access_token"]
        assert claims_of(token)["exp"] == ends
    clock.forward(seconds=360)
    refused(story.exchange(token, b, audience=SERVICE_A), "invalid_request")


@pytest.mark.conformance("DG-12", "DG-06")
def test_d8_access_token_when_revoked(story, world, tokens):
    child = handed_on(story, tokens["access_token"])
    story.revoke(tokens["access_token"])
    refused(story.exchange(tokens["access_token"]), "invalid_request")
    assert story.is_active(child["access_token"], world.service_b_client)
    # And a child's holder can give back no more than its own.
    a = world.service_a_client
    assert story.revoke(child["access_token"], a).status_code == 200
    assert not story.is_active(child["access_token"], world.service_b_client)
    assert story.refresh(tokens["refresh_token"]).status_code == 200
    assert story.revoke(tokens["refresh_token"], a).status_code == 200
    assert not delegation_of(tokens).revoked_at


def test_refresh_token_of_a_child_when_replayed(story, world, clock):
    a = world.service_a_client
    a.change(grants=ALL, may_refresh_exchanged_tokens=True)
    tokens = story.tokens()
    child = handed_on(story, tokens["access_token"])
    story.refresh(child["refresh_token"], a)
    clock.forward(seconds=60)
    with recorded("delegation.revoked"):
        refused(story.refresh(child["refresh_token"], a), "invalid_grant")
    assert delegation_of(child).revoked_at is not None
    assert story.is_active(tokens["access_token"])


def test_exchange_when_repeated(story, tokens):
    story.exchange(tokens["access_token"], scope="write:alerts")
    counts = []
    for _ in range(2):
        with CaptureQueriesContext(connection) as queries:
            handed_on(story, tokens["access_token"])
        counts.append(sum("SAVEPOINT" not in query["sql"] for query in queries))
    assert counts[0] <= 14
    assert counts[1] <= 10
