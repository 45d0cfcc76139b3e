"""What a child is like: its life, its depth, its reuse, and what is told of it."""

import pytest
from django.test import override_settings

from delegation_app.models import AuditEvent, Delegation
from delegation_app.protocol.audience import Audience
from delegation_app.protocol.constraints import Constraints
from delegation_app.protocol.scope import Scope
from delegation_app.services.audit import RequestContext
from delegation_app.services.delegations import creation
from delegation_app.services.delegations.narrowing import Narrowing
from tests.support.answers import recorded, refusal_recorded, refused
from tests.support.chains import act_of, handed_on, last_event
from tests.support.world import SERVICE_A, SERVICE_B, SERVICE_C, claims_of, delegation_of

OPERATOR = RequestContext("user:7")
WHERE = (SERVICE_A, SERVICE_B, SERVICE_C)


@pytest.mark.conformance("TX-23", "DG-02")
def test_f11_token_when_the_subject_has_little_time_left_then_no_more(story, clock):
    root = story.tokens()
    clock.forward(seconds=570)
    child = handed_on(story, root["access_token"])
    assert child["expires_in"] == 30
    assert claims_of(child["access_token"])["exp"] == claims_of(root["access_token"])["exp"]
    clock.forward(seconds=10)
    own = handed_on(story, child["access_token"], scope="read:metrics")
    assert own["expires_in"] == 20


@pytest.mark.conformance("TX-23")
def test_f11_child_when_the_policy_wants_it_shorter_then_it_ends_before(story, world, clock):
    world.service_a_client.change(delegation_lifetime=60, access_token_lifetime=120)
    root = story.tokens()
    child = handed_on(story, root["access_token"])
    assert child["expires_in"] == 60
    assert delegation_of(child).expires_at < delegation_of(root).expires_at
    world.service_a_client.change(delegation_lifetime=10**9)
    other = handed_on(story, root["access_token"], scope="read:metrics")
    assert delegation_of(other).expires_at == delegation_of(root).expires_at


@pytest.mark.conformance("TX-39")
def test_refresh_token_when_the_policy_says_nothing_then_there_is_none(story):
    assert "refresh_token" not in handed_on(story, story.tokens()["access_token"])


@pytest.mark.conformance("TX-39", "TX-23")
def test_f11_refresh_when_of_a_child_then_it_stays_within_the_parents_life(chain, world, clock):
    story, child = chain.story, chain.answers[1]
    ends = chain.rows[0].expires_at
    clock.forward(hours=1)
    again = story.refresh(child["refresh_token"], world.service_a_client).json()
    assert act_of(again) == ["service-a"]
    assert delegation_of(again) == chain.rows[1]
    assert claims_of(again["access_token"])["aud"] == SERVICE_B
    assert again["authorization_expires_in"] == int((ends - clock.time).total_seconds())
    # And not a day longer than the parent, however often it is refreshed.
    while (ends - clock.time).days > 20:
        clock.forward(days=20)
        again = story.refresh(again["refresh_token"], world.service_a_client).json()
    clock.time = ends
    refused(story.refresh(again["refresh_token"], world.service_a_client), "invalid_grant")


@pytest.mark.conformance("TX-39")
def test_f11_refresh_when_it_asks_for_more_than_the_child_has_then_refused(chain, world):
    story, text = chain.story, chain.answers[1]["refresh_token"]
    app = world.service_a_client
    app.policy.audiences.add(world.service_c)
    refused(story.refresh(text, app, resource=SERVICE_C), "invalid_target")
    refused(story.refresh(text, app, scope="read:metrics read:profile"), "invalid_scope")
    refused(story.refresh(text, world.web), "invalid_grant")


# Depth, cycles, reuse


@pytest.mark.conformance("TX-38", "TX-26", "TX-27")
def test_cycle_when_a_and_b_take_turns_then_it_is_told_in_full_until_the_limit(story, world):
    a, b = world.service_a_client, world.service_b_client
    token, expected = story.tokens()["access_token"], []
    for step in range(8):
        app, audience = ((a, SERVICE_B), (b, SERVICE_A))[step % 2]
        answer = handed_on(story, token, app, audience=audience)
        expected.insert(0, app.client_id)
        token = answer["access_token"]
        assert act_of(answer) == expected
        assert delegation_of(answer).depth == step + 1
    with refusal_recorded("invalid_request", delegation=delegation_of(answer)):
        response = story.exchange(token, a, audience=SERVICE_B)
    refused(response, "invalid_request")
    assert response.json()["error_description"] == "The maximum delegation depth has been reached."
    # Not by exchanging one's own either
    refused(story.exchange(token, b, audience=SERVICE_A), "invalid_request")


@pytest.mark.conformance("TX-38")
@pytest.mark.parametrize("most", [0, 1])
def test_depth_when_the_site_allows_less_then_it_ends_there(story, most):
    issuer = {"ISSUER": "https://as.example.com"}
    with override_settings(DELEGATION={**issuer, "MAX_DEPTH": most}):
        token = story.tokens()["access_token"]
        for _ in range(most):
            token = handed_on(story, token)["access_token"]
        refused(
            story.exchange(token, story.world.apps["service_b_client"], audience=SERVICE_C)
            if most
            else story.exchange(token),
            "invalid_request",
        )


@pytest.mark.conformance("TX-35")
def test_child_when_asked_for_on_the_same_terms_then_it_is_the_same(story, clock):
    token = story.tokens()["access_token"]
    first = handed_on(story, token)
    clock.forward(seconds=100)
    with recorded("token.exchanged"):
        second = handed_on(story, token)
    assert delegation_of(first) == delegation_of(second)
    assert first["access_token"] != second["access_token"]
    other = handed_on(story, token, scope="read:metrics")
    assert delegation_of(other) != delegation_of(first)
    assert Delegation.objects.count() == 3


@pytest.mark.conformance("DG-02")
def test_child_when_it_was_narrowed_then_the_same_terms_give_no_more(story, world):
    token = story.tokens()["access_token"]
    child = handed_on(story, token)
    to = Narrowing(scope=Scope(["read:metrics"]))
    creation.narrow(delegation_of(child), to, OPERATOR, reason="too much")
    again = handed_on(story, token)
    assert delegation_of(again) == delegation_of(child)
    assert again["scope"] == "read:metrics"


@pytest.mark.conformance("DG-11")
def test_trail_when_only_a_jti_is_known_then_chain_actors_and_consents_follow(chain, world):
    story = chain.story
    refreshed = story.refresh(chain.answers[2]["refresh_token"], world.service_b_client).json()
    for answer in (*chain.answers, refreshed):
        claims = claims_of(answer["access_token"])
        told = story_of(claims["jti"])
        assert told["delegations"][-1] == claims["delegation_id"]
        assert told["actors"] == act_of(answer)
        assert told["clients"][-1] == claims["client_id"]
        assert told["clients"] == ["web", "service-a", "service-b"][: len(told["clients"])]
        assert told["consents"] == [str(chain.rows[0].consent.public_id)]
    # Up to the very token that was exchanged
    jtis = [claims_of(token)["jti"] for token in chain.tokens]
    for jti, before in zip(jtis[1:], jtis, strict=False):
        assert last_event(jti=jti).details["subject_jti"] == before


def story_of(jti):
    """What the audit trail tells of one token: delegations, clients, actors, consents, in order."""
    event = AuditEvent.objects.exclude(event="request.refused").get(jti=jti)
    opened = ("delegation.created", "delegation.chained")
    of = {str(e.delegation.public_id): e for e in AuditEvent.objects.filter(event__in=opened)}
    chain = of[str(event.delegation.public_id)].details["chain"]
    exchanged = AuditEvent.objects.filter(event="token.exchanged", delegation=event.delegation)
    actors = exchanged[0].details["actors"] if exchanged else []
    consents = {str(of[one].delegation.consent.public_id) for one in chain}
    return {
        "delegations": chain,
        "clients": [of[one].client_id_value for one in chain],
        "actors": [actor["client_id"] for actor in actors],
        "consents": sorted(consents),
    }


@pytest.mark.conformance("DG-13")
def test_ids_when_told_outside_then_none_is_a_key(chain):
    told = chain.story.introspect(chain.tokens[2], chain.story.world.operator_tool).json()
    ids = told["delegation"]["chain"]
    assert ids == [str(row.public_id) for row in chain.rows]
    assert not {str(row.pk) for row in chain.rows} & set(ids)
    assert Audience([SERVICE_C]).claim() == told["aud"]
    assert Constraints.parse(told["delegation"]["constraints"]) == Constraints()
