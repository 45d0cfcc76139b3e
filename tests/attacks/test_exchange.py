"""Attacks on token exchange: group F of the threat list, and its neighbours."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from delegation_app.models import AccessToken, Delegation
from delegation_app.protocol import names
from delegation_app.protocol.constraints import Constraints
from delegation_app.services.audit import RequestContext
from delegation_app.services.delegations import revocation
from tests.support.answers import recorded, refusal_recorded, refused
from tests.support.chains import Chain, acting_with, handed_on, last_event, own_token
from tests.support.world import SERVICE_A, SERVICE_B, SERVICE_C, claims_of, delegation_of

OPERATOR = RequestContext("user:7")
ALL = ("authorization_code", "refresh_token", "client_credentials", names.TOKEN_EXCHANGE)


@pytest.fixture
def tokens(story):
    return story.tokens()


# F5: every policy in every grant


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


def close_service(world):
    world.service_b.active = False
    world.service_b.save()


POLICIES = {
    "disabled": (narrow_policy(enabled=False), {"invalid_client"}),
    "no grant": (narrow_policy(grants=[]), {"unauthorized_client"}),
    "no scope": (narrow_policy(scopes="read:profile"), {"invalid_scope"}),
    "no audience": (
        lambda world: world.service_a_client.policy.audiences.clear(), {"invalid_target"}
    ),
    "service inactive": (close_service, {"invalid_target"}),
    "service deleted": (lambda world: world.service_b.delete(), {"invalid_target"}),
}  # fmt: skip


@pytest.mark.conformance("TX-10", "DG-08")
@pytest.mark.parametrize("name", POLICIES)
def test_f5_policy_when_it_forbids_then_every_grant_refuses(grants, world, name):
    change, errors = POLICIES[name]
    before = AccessToken.objects.count()
    change(world)
    for grant, request in grants.items():
        response = request()
        body = response.json()
        assert (response.status_code, body["error"] in errors) in {(400, True), (401, True)}, (
            grant, body
        )  # fmt: skip
    assert AccessToken.objects.count() == before


@pytest.mark.conformance("TX-23")
def test_f5_policy_when_it_shortens_tokens_then_every_grant_does(grants, world):
    world.service_a_client.change(access_token_lifetime=7)
    for grant, request in grants.items():
        assert request().json()["expires_in"] == 7, grant


@pytest.mark.conformance("TX-37", "DG-10")
def test_f5_policy_when_it_has_a_constraint_then_what_is_opened_from_now_on_has_it(story, world):
    app = world.service_a_client
    subject = story.tokens()["access_token"]
    limited({"type": "ip_range", "networks": ["10.0.0.0/8"]})(world)
    for response, code in (
        (story.exchange(subject), "invalid_request"),
        (story.client_credentials(app), "unauthorized_client"),
    ):
        refused(response, code)


# F2, F7, F8: whose token, whose actor, and where to


@pytest.mark.conformance("TX-33", "TX-50")
def test_f2_token_when_stolen_by_a_client_that_may_exchange_then_it_is_worth_nothing(story, world):
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
def test_f8_client_when_it_holds_a_token_then_it_cannot_lead_it_where_it_was_not_sent(story, world):
    """What A got for B it may not turn into one for C, though A may go there with others."""
    a = world.service_a_client
    a.policy.audiences.add(world.service_c)
    child = handed_on(story, story.tokens()["access_token"])
    with refusal_recorded("invalid_target", delegation=delegation_of(child)):
        refused(story.exchange(child["access_token"], a, audience=SERVICE_C), "invalid_target")


@pytest.mark.conformance("TX-35", "TX-36")
def test_f8_grandchild_when_the_middle_was_revoked_then_no_other_way_leads_round_it(story):
    chain = Chain(story)
    revocation.subtree(chain.rows[1], OPERATOR, reason="x")
    for token, app, audience in (
        (chain.tokens[0], None, SERVICE_B),
        (chain.tokens[1], story.world.service_b_client, SERVICE_C),
        (chain.tokens[2], story.world.service_c_client, SERVICE_A),
    ):
        response = story.exchange(token, app, audience=audience)
        assert response.json()["error"] in {"invalid_target", "invalid_request"}
    assert chain.active() == [True, False, False]


@pytest.mark.conformance("TX-22", "DG-02")
def test_f8_grandchild_when_its_parent_had_less_then_it_never_has_more(story, world):
    root = story.tokens()["access_token"]
    child = handed_on(story, root, scope="read:metrics")
    b = world.service_b_client
    for scope in ("write:alerts", "read:metrics write:alerts"):
        with refusal_recorded("invalid_scope", delegation=delegation_of(child)):
            response = story.exchange(child["access_token"], b, audience=SERVICE_C, scope=scope)
        refused(response, "invalid_scope")
    leaf = handed_on(story, child["access_token"], b, audience=SERVICE_C)
    assert leaf["scope"] == "read:metrics"


def test_scope_when_the_site_forgets_it_then_no_exchange_has_it(story, tokens, settings):
    child = handed_on(story, tokens["access_token"])
    scopes = {k: v for k, v in settings.OAUTH2_PROVIDER["SCOPES"].items() if k != "write:alerts"}
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "SCOPES": scopes}
    assert handed_on(story, tokens["access_token"])["scope"] == "read:metrics"
    refused(story.exchange(tokens["access_token"], scope="write:alerts"), "invalid_scope")
    b = story.world.service_b_client
    assert story.introspect(child["access_token"], b).json()["scope"] == "read:metrics"


# F11: lifetime laundering


@pytest.mark.conformance("TX-23", "TX-39")
def test_f11_token_when_passed_round_and_round_then_it_never_lives_longer(story, world, clock):
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


@pytest.mark.conformance("TX-35", "TX-39", "DG-04")
def test_f11_refresh_token_of_a_child_when_the_parent_ends_then_it_is_dead(story, world):
    a = world.service_a_client
    a.change(grants=ALL, may_refresh_exchanged_tokens=True)
    tokens = story.tokens()
    child = handed_on(story, tokens["access_token"])
    renewed = story.refresh(child["refresh_token"], a).json()
    with recorded("delegation.revoked"):
        story.revoke(tokens["refresh_token"])
    for dead in (child, renewed):
        refused(story.refresh(dead["refresh_token"], a), "invalid_grant")
        assert not story.is_active(dead["access_token"], world.service_b_client)


@pytest.mark.conformance("DG-12", "DG-06")
def test_d8_access_token_when_revoked_then_what_was_made_of_it_goes_on(story, world, tokens):
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


def test_refresh_token_of_a_child_when_replayed_then_only_its_branch_ends(story, world, clock):
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


# F14: many children


@pytest.mark.conformance("DG-03")
def test_f14_children_when_many_then_revoking_their_parent_costs_the_same(story, tokens):
    counts = []
    parent = delegation_of(tokens)
    for number in (1, 40):
        for _ in range(number):
            child = Delegation(
                parent=parent, subject=parent.subject, principal_user=parent.principal_user,
                delegate=parent.delegate, delegate_client_id="web", audience=parent.audience,
                scopes=parent.scopes, grant_type=names.TOKEN_EXCHANGE, terms_digest="0" * 64,
                issued_at=parent.issued_at,
            )  # fmt: skip
            child.save()
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert revocation.subtree(parent, OPERATOR, reason="x") == number + 1
        counts.append(len(queries))
        parent = delegation_of(story.tokens(prompt="consent"))
    assert counts[0] == counts[1]


def test_exchange_when_repeated_then_it_costs_no_more_statements_than_it_may(story, tokens):
    story.exchange(tokens["access_token"], scope="write:alerts")
    counts = []
    for _ in range(2):
        with CaptureQueriesContext(connection) as queries:
            handed_on(story, tokens["access_token"])
        counts.append(sum("SAVEPOINT" not in query["sql"] for query in queries))
    assert counts[0] <= 14
    assert counts[1] <= 10
