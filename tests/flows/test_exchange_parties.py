"""Who acts for whom: RFC 8693 sections 1.1, 4.1 and 4.4."""

import pytest

from delegation_app.models import AuditEvent
from delegation_app.protocol import names
from delegation_app.services.tokens import local_verifier
from tests.support.answers import recorded, refusal_recorded, refused
from tests.support.chains import Chain, act_of, acting_with, handed_on, last_event, own_token
from tests.support.world import SERVICE_A, SERVICE_B, SERVICE_C, claims_of, delegation_of, make_app


@pytest.fixture
def tokens(story):
    return story.tokens()


@pytest.fixture
def token(tokens):
    return tokens["access_token"]


@pytest.mark.conformance("TX-24", "TX-25")
def test_actor_when_there_is_no_actor_token_then_it_is_the_client(story, token):
    with recorded("delegation.chained", "token.exchanged"):
        answer = handed_on(story, token)
    assert claims_of(answer["access_token"])["act"] == {
        "sub": "client:service-a", "client_id": "service-a"
    }  # fmt: skip


@pytest.mark.conformance("TX-24")
def test_actor_when_the_client_brings_its_own_token_then_it_is_its_subject(story, world, token):
    actor = own_token(story, world.service_a_client)
    answer = handed_on(story, token, **acting_with(actor))
    claims = claims_of(answer["access_token"])
    assert claims["sub"] == f"user:{world.alice.pk}"
    assert claims["act"]["sub"] == claims_of(actor)["sub"] == "client:service-a"
    # It is the same to say it and to leave it out.
    assert delegation_of(handed_on(story, token)) == delegation_of(answer)
    assert story.is_active(actor, world.service_b_client)


@pytest.mark.conformance("TX-26", "TX-27", "TX-28", "TX-43", "IN-07")
def test_chain_when_handed_on_twice_then_the_outermost_acts_now(story, world):
    chain = Chain(story)
    claims = [claims_of(token) for token in chain.tokens]
    assert "act" not in claims[0]
    assert claims[2]["act"] == {
        "sub": "client:service-b", "client_id": "service-b", "act": claims[1]["act"]
    }  # fmt: skip
    assert claims[1]["act"] == {"sub": "client:service-a", "client_id": "service-a"}
    told = story.introspect(chain.tokens[2], world.service_c_client).json()
    assert told["act"] == claims[2]["act"]
    assert "act" not in story.introspect(chain.tokens[0]).json()


@pytest.mark.conformance("TX-32", "RS-06")
def test_verifier_when_it_asks_who_acts_then_nested_actors_decide_nothing(story):
    chain = Chain(story)
    verified = local_verifier.verify(chain.tokens[2], SERVICE_C)
    assert verified.client_id == "service-b"
    assert verified.subject == f"user:{story.world.alice.pk}"
    current, *history = verified.actors
    assert current["client_id"] == "service-b"
    assert [actor["client_id"] for actor in history] == ["service-a"]
    # A rule "the actor is service A" holds one hop before, and not here.
    assert local_verifier.verify(chain.tokens[1], SERVICE_B).actors[0]["client_id"] == "service-a"
    assert local_verifier.verify(chain.tokens[0], SERVICE_A).actors == ()


@pytest.mark.conformance("TX-29")
def test_actor_token_when_it_has_actors_itself_then_only_its_subject_counts(story, world, token):
    a = world.service_a_client
    plain = own_token(story, a, resource=SERVICE_B)
    nested = handed_on(story, plain, world.service_b_client, audience=SERVICE_A)["access_token"]
    # A has its own authority back, with B in its history.
    back = handed_on(story, nested, a, audience=SERVICE_B)
    assert act_of(back) == ["service-a", "service-b"]
    assert claims_of(back["access_token"])["sub"] == "client:service-a"
    assert act_of(handed_on(story, token, **acting_with(back["access_token"]))) == ["service-a"]


# may_act


@pytest.mark.conformance("TX-30", "TX-43", "IN-07")
def test_may_act_when_the_holders_policy_names_a_client_then_token_and_answer_say_so(story, world):
    world.web.change(may_act="service-a")
    token = story.tokens()["access_token"]
    named = {"sub": "client:service-a", "client_id": "service-a"}
    assert claims_of(token)["may_act"] == named
    assert story.introspect(token).json()["may_act"] == named
    assert "act" not in claims_of(token)
    child = handed_on(story, token)
    # It is the rule of web, not of whoever holds the child.
    assert "may_act" not in claims_of(child["access_token"])
    assert act_of(handed_on(story, child["access_token"], world.service_b_client,
                            audience=SERVICE_C)) == ["service-b", "service-a"]  # fmt: skip


@pytest.mark.conformance("TX-30")
@pytest.mark.parametrize("with_actor", [False, True])
def test_may_act_when_it_names_another_client_then_invalid_request(story, world, with_actor):
    world.web.change(may_act="service-c")
    tokens = story.tokens()
    own = acting_with(own_token(story, world.service_a_client)) if with_actor else {}
    with refusal_recorded("invalid_request", delegation=delegation_of(tokens)):
        response = story.exchange(tokens["access_token"], audience=SERVICE_B, **own)
    refused(response, "invalid_request")


@pytest.mark.conformance("TX-30", "TX-33")
def test_may_act_when_it_names_who_is_not_in_the_audience_then_that_one_may(story, world):
    world.web.change(may_act="service-c")
    token = story.tokens()["access_token"]
    answer = handed_on(story, token, world.service_c_client, audience=SERVICE_A)
    assert act_of(answer) == ["service-c"]


@pytest.mark.conformance("TX-30")
def test_may_act_when_the_holder_only_narrows_then_it_does_not_apply(story, world):
    grants = ["authorization_code", names.TOKEN_EXCHANGE]
    world.web.change(may_act="service-a", grants=grants)
    token = story.tokens()["access_token"]
    assert act_of(handed_on(story, token, world.web, audience=SERVICE_A)) == []


@pytest.mark.conformance("TX-31", "TX-33")
@pytest.mark.parametrize("name", ["service_b_client", "service_c_client"])
def test_client_when_nothing_entitles_it_then_invalid_request(story, world, tokens, name):
    app = world.apps[name]
    row = delegation_of(tokens)
    with refusal_recorded("invalid_request", delegation=row, client_id_value=app.client_id):
        refused(story.exchange(tokens["access_token"], app, audience=SERVICE_A), "invalid_request")


@pytest.mark.conformance("TX-33")
def test_client_when_it_speaks_for_the_audience_no_more_then_invalid_request(story, world, tokens):
    other = make_app("a-2", grants=[names.TOKEN_EXCHANGE], audiences=[world.service_b])
    refused(story.exchange(tokens["access_token"], other, audience=SERVICE_B), "invalid_request")
    world.service_a.introspectors.add(other.row)
    answer = handed_on(story, tokens["access_token"], other, audience=SERVICE_B)
    assert act_of(answer) == ["a-2"]
    world.service_a.introspectors.remove(other.row)
    refused(story.exchange(tokens["access_token"], other, audience=SERVICE_B), "invalid_request")


# Actor tokens that are not the client's own


@pytest.mark.conformance("TX-07")
def test_f7_actor_when_the_token_is_not_the_clients_own_then_invalid_request(story, world, tokens):
    world.cron.policy.audiences.add(world.service_b)
    chain = Chain(story)
    a, b = world.service_a_client, world.service_b_client
    spliced = {
        "a person's": story.tokens()["access_token"],
        "the subject itself": tokens["access_token"],
        "another client's, for its audience": own_token(story, world.cron, resource=SERVICE_A),
        "another client's": own_token(story, b),
        "a child of the same chain": chain.tokens[1],
        "a grandchild of another chain": chain.tokens[2],
        "its own exchange of a person's": handed_on(story, tokens["access_token"])["access_token"],
        "another's authority that it holds": handed_on(
            story, own_token(story, world.cron, resource=SERVICE_A), a, audience=SERVICE_B
        )["access_token"],
    }
    bodies = set()
    for actor in spliced.values():
        row = delegation_of(tokens)
        with refusal_recorded("invalid_request", delegation=row, client_id_value="service-a"):
            response = story.exchange(tokens["access_token"], **acting_with(actor))
        refused(response, "invalid_request")
        bodies.add(response.content)
    assert len(bodies) == 1


@pytest.mark.conformance("TX-30")
def test_actor_when_the_subjects_policy_names_it_then_its_audience_may_present_it(story, world):
    world.web.change(may_act="cron")
    actor = own_token(story, world.cron, resource=SERVICE_A)
    token = story.tokens()["access_token"]
    answer = handed_on(story, token, **acting_with(actor))
    assert act_of(answer) == ["cron"]
    assert claims_of(answer["access_token"])["client_id"] == "service-a"
    # Only from where it was sent to
    elsewhere = make_app("b-2", grants=[names.TOKEN_EXCHANGE], audiences=[world.service_b])
    both = story.tokens(resource=[SERVICE_A, SERVICE_B])
    world.service_b.introspectors.add(elsewhere.row)
    with refusal_recorded("invalid_request", delegation=delegation_of(both)):
        response = story.exchange(
            both["access_token"], elsewhere, audience=SERVICE_B, **acting_with(actor)
        )
    refused(response, "invalid_request")
    # And not once the rule is another one.
    world.web.change(may_act="")
    refused(story.exchange(token, **acting_with(actor)), "invalid_request")


@pytest.mark.conformance("TX-07")
def test_actor_when_its_token_has_ended_then_invalid_request(story, world, tokens, clock):
    a = world.service_a_client
    a.change(access_token_lifetime=60)
    revoked, expired = own_token(story, a), own_token(story, a)
    story.revoke(revoked, a)
    clock.forward(seconds=60)
    for actor in (revoked, expired):
        with refusal_recorded("invalid_request", delegation=delegation_of(tokens)):
            refused(story.exchange(tokens["access_token"], **acting_with(actor)), "invalid_request")


def test_actor_when_it_is_the_subject_then_nobody_gains_anything(story, world):
    own = own_token(story, world.service_a_client)
    answer = handed_on(story, own, **acting_with(own))
    assert claims_of(answer["access_token"])["sub"] == "client:service-a"
    assert act_of(answer) == ["service-a"]
    refused(story.exchange(own, audience=SERVICE_A, **acting_with(own)), "invalid_target")


# Impersonation


@pytest.mark.conformance("TX-25")
def test_f13_impersonation_when_the_policy_allows_it_then_it_is_told_apart(story, world, token):
    world.service_a_client.change(may_impersonate=True)
    with recorded("delegation.chained", "token.impersonated"):
        answer = handed_on(story, token)
    claims = claims_of(answer["access_token"])
    assert "act" not in claims
    assert (claims["sub"], claims["client_id"]) == (f"user:{world.alice.pk}", "service-a")
    event = last_event(event="token.impersonated")
    assert (event.actor, event.jti) == ("client:service-a", claims["jti"])
    assert event.details["chain"][-1] == claims["delegation_id"]
    assert len(event.details["chain"]) == 2


@pytest.mark.conformance("TX-25")
def test_f13_impersonation_when_it_names_itself_then_it_is_an_actor(story, world, token):
    world.service_a_client.change(may_impersonate=True)
    own = own_token(story, world.service_a_client)
    assert act_of(handed_on(story, token, **acting_with(own))) == ["service-a"]


@pytest.mark.conformance("TX-25", "TX-27")
def test_f13_impersonation_when_there_is_a_chain_then_its_history_stays(story, world, token):
    world.service_b_client.change(may_impersonate=True)
    child = handed_on(story, token)
    answer = handed_on(story, child["access_token"], world.service_b_client, audience=SERVICE_C)
    assert act_of(answer) == ["service-a"]
    # It could not be hidden from the trail.
    assert AuditEvent.objects.get(event="token.impersonated").actor == "client:service-b"


@pytest.mark.conformance("TX-25", "TX-30")
def test_f13_impersonation_when_may_act_names_another_then_invalid_request(story, world):
    world.web.change(may_act="service-c")
    world.service_a_client.change(may_impersonate=True)
    refused(story.exchange(story.tokens()["access_token"]), "invalid_request")
