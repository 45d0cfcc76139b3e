"""Where an exchange may lead and with how much: RFC 8693 section 2.1, RFC 8707."""

import pytest
from django.core.exceptions import ValidationError

from delegation_app.models import ResourceServer
from delegation_app.protocol import names
from delegation_app.protocol.constraints import Constraints
from tests.support.answers import refusal_recorded, refused
from tests.support.chains import handed_on, own_token
from tests.support.world import SERVICE_A, SERVICE_B, SERVICE_C, claims_of, delegation_of


@pytest.fixture
def tokens(story):
    return story.tokens()


@pytest.fixture
def token(tokens):
    return tokens["access_token"]


@pytest.fixture
def wide(world):
    """Service A's client may go to B and C."""
    world.service_a_client.policy.audiences.add(world.service_c)
    return world.service_a_client


@pytest.mark.conformance("TX-17", "RI-01")
@pytest.mark.parametrize(
    "resource",
    ["/api", "service-b.example.com", f"{SERVICE_B}#f", f"{SERVICE_B}#", "//x/y", "", " ", "é:x"],
)
def test_resource_when_no_absolute_uri_or_with_fragment_then_invalid_target(
    story, tokens, resource
):
    with refusal_recorded("invalid_target", delegation=delegation_of(tokens)):
        response = story.exchange(tokens["access_token"], resource=[SERVICE_B, resource or "a b"])
    refused(response, "invalid_target")


@pytest.mark.conformance("TX-17", "RI-09")
def test_resource_when_it_has_a_query_or_path_then_it_is_another_audience(story, world, token):
    for tail in ("?tenant=1", "/t1", "/"):
        server = ResourceServer.objects.create(
            identifier=SERVICE_B + tail, name=f"B{tail}", scopes="read:metrics"
        )
        refused(story.exchange(token, resource=server.identifier), "invalid_target")
        world.service_a_client.policy.audiences.add(server)
        answer = handed_on(story, token, resource=server.identifier, audience=None)
        assert claims_of(answer["access_token"])["aud"] == server.identifier
        assert not story.is_active(answer["access_token"], world.service_b_client)


@pytest.mark.conformance("TX-18", "RI-02", "RI-04")
@pytest.mark.parametrize(
    ("targets", "audience"),
    [
        ({"resource": [SERVICE_B, SERVICE_C]}, [SERVICE_B, SERVICE_C]),
        ({"audience": ["Service B", SERVICE_C]}, [SERVICE_B, SERVICE_C]),
        ({"audience": "Service C", "resource": SERVICE_B}, [SERVICE_B, SERVICE_C]),
        ({"audience": [SERVICE_B, "Service B"], "resource": [SERVICE_B] * 2}, SERVICE_B),
        ({"audience": "Service C"}, SERVICE_C),
    ],
)
def test_targets_when_repeated_and_mixed_then_the_token_is_for_all(
    story, wide, token, targets, audience
):
    answer = handed_on(story, token, wide, **targets)
    assert claims_of(answer["access_token"])["aud"] == audience


@pytest.mark.conformance("TX-18", "TX-19", "TX-21", "RI-03")
@pytest.mark.parametrize(
    "targets",
    [
        {"audience": "https://unknown.example.com"},
        {"audience": "Service X"},
        {"audience": "service b"},
        {"audience": SERVICE_C},
        {"audience": "Service C"},
        {"resource": SERVICE_C},
        # Its own audience, and that of the subject token, is no exception
        {"audience": SERVICE_A},
        {"audience": [SERVICE_B, SERVICE_C]},
        {"audience": SERVICE_B, "resource": SERVICE_C},
        {"audience": "service-b"},
        {"audience": "é" * 3000},
    ],
)
def test_target_when_the_policy_does_not_list_it_then_invalid_target(story, tokens, targets):
    with refusal_recorded("invalid_target", delegation=delegation_of(tokens)):
        refused(story.exchange(tokens["access_token"], **targets), "invalid_target")


@pytest.mark.conformance("RI-08")
def test_target_when_left_out_then_the_default_or_invalid_target(story, wide, world, tokens):
    token = tokens["access_token"]
    with refusal_recorded("invalid_target", delegation=delegation_of(tokens)):
        refused(story.exchange(token, wide), "invalid_target")
    wide.change(default_audience=world.service_c)
    assert claims_of(handed_on(story, token, wide, scope=None)["access_token"])["aud"] == SERVICE_C


@pytest.mark.conformance("TX-21")
def test_target_when_a_constraint_above_leaves_it_out_then_invalid_target(story, world, wide):
    reach = [{"type": "resource_servers", "identifiers": [SERVICE_A, SERVICE_B]}]
    world.web.change(constraints=Constraints.parse(reach))
    tokens = story.tokens()
    with refusal_recorded("invalid_target", delegation=delegation_of(tokens)):
        refused(story.exchange(tokens["access_token"], wide, audience=SERVICE_C), "invalid_target")
    child = handed_on(story, tokens["access_token"])
    with refusal_recorded("invalid_target", delegation=delegation_of(child)):
        response = story.exchange(child["access_token"], world.service_b_client, audience=SERVICE_C)
    refused(response, "invalid_target")


@pytest.mark.conformance("TX-22")
@pytest.mark.parametrize(
    "scope",
    ["read:profile", "read:metrics read:profile", "delete:alerts", "unknown", "read:metrics x"],
)
def test_scope_when_more_than_the_subject_token_has_then_invalid_scope(story, tokens, scope):
    with refusal_recorded("invalid_scope", delegation=delegation_of(tokens)):
        refused(story.exchange(tokens["access_token"], scope=scope), "invalid_scope")


@pytest.mark.conformance("TX-22")
@pytest.mark.parametrize("scope", ["é", 'read:metrics "', "read:metrics\ttab", " ", "read\\x"])
def test_scope_when_malformed_or_nothing_then_invalid_scope(story, tokens, scope):
    with refusal_recorded("invalid_scope", delegation=delegation_of(tokens)):
        refused(story.exchange(tokens["access_token"], scope=scope), "invalid_scope")


@pytest.mark.conformance("TX-22")
def test_scope_when_more_than_the_client_may_have_then_invalid_scope(story, world, tokens):
    world.service_a_client.change(scopes="read:metrics")
    with refusal_recorded("invalid_scope", delegation=delegation_of(tokens)):
        response = story.exchange(tokens["access_token"], scope="read:metrics write:alerts")
    refused(response, "invalid_scope")
    assert handed_on(story, tokens["access_token"])["scope"] == "read:metrics"


@pytest.mark.conformance("TX-22")
def test_scope_when_the_subject_token_was_narrowed_then_its_delegation_gives_no_more(story, tokens):
    narrow = story.refresh(tokens["refresh_token"], scope="read:metrics").json()
    with refusal_recorded("invalid_scope", delegation=delegation_of(tokens)):
        refused(story.exchange(narrow["access_token"], scope="write:alerts"), "invalid_scope")
    assert handed_on(story, narrow["access_token"])["scope"] == "read:metrics"


@pytest.mark.conformance("TX-20", "RI-07")
@pytest.mark.parametrize("asked", [None, "read:metrics write:alerts"])
def test_scope_when_there_are_several_targets_then_it_is_what_all_of_them_know(
    story, world, wide, token, asked
):
    world.service_c.scopes = "write:alerts delete:alerts"
    world.service_c.save()
    answer = handed_on(story, token, wide, audience=[SERVICE_B, SERVICE_C], scope=asked)
    assert answer["scope"] == "write:alerts"
    assert handed_on(story, token, wide, scope=asked, audience=SERVICE_B)["scope"] == (
        "read:metrics write:alerts"
    )


@pytest.mark.conformance("TX-20")
def test_scope_when_the_targets_have_none_in_common_then_invalid_scope(story, world, wide, tokens):
    world.service_b.scopes, world.service_c.scopes = "read:metrics", "write:alerts"
    world.service_b.save()
    world.service_c.save()
    with refusal_recorded("invalid_scope", delegation=delegation_of(tokens)):
        response = story.exchange(tokens["access_token"], wide, audience=[SERVICE_B, SERVICE_C])
    refused(response, "invalid_scope")


@pytest.mark.conformance("RI-05", "RI-06", "RI-04")
def test_resource_when_a_part_was_granted_then_only_that_can_be_had_at_the_token_endpoint(story):
    both = {"resource": [SERVICE_A, SERVICE_B]}
    refused(story.redeem(story.code(**both), resource=SERVICE_C), "invalid_target")
    answer = story.redeem(story.code(**both), resource=SERVICE_A).json()
    assert claims_of(answer["access_token"])["aud"] == SERVICE_A
    refused(story.refresh(answer["refresh_token"], resource=SERVICE_C), "invalid_target")
    second = story.refresh(answer["refresh_token"], resource=SERVICE_B).json()
    assert claims_of(second["access_token"])["aud"] == SERVICE_B


@pytest.mark.conformance("RI-01", "RI-03")
@pytest.mark.parametrize("resource", ["/api", f"{SERVICE_A}#f", "https://unknown.example.com"])
def test_resource_when_bad_then_every_grant_says_invalid_target(story, world, tokens, resource):
    page = story.authorize(resource=resource)
    assert page.status_code == 303
    assert "error=invalid_target" in page["Location"]
    for response in (
        story.redeem(story.code(), resource=resource),
        story.refresh(tokens["refresh_token"], resource=resource),
        story.client_credentials(resource=resource),
        story.exchange(tokens["access_token"], resource=resource),
    ):
        refused(response, "invalid_target")


# A client that exchanges its own token


@pytest.fixture
def narrower(world):
    """Web may exchange, and go to A, B and C."""
    world.web.change(grants=["authorization_code", "refresh_token", names.TOKEN_EXCHANGE])
    world.web.policy.audiences.add(world.service_c)
    return world.web


@pytest.mark.conformance("TX-48", "TX-27")
def test_self_exchange_when_it_narrows_then_no_actor_is_added(story, narrower):
    token = story.tokens(resource=[SERVICE_A, SERVICE_B])["access_token"]
    answer = handed_on(story, token, narrower, audience=SERVICE_B, scope="read:metrics")
    claims = claims_of(answer["access_token"])
    assert (claims["aud"], claims["scope"], claims["client_id"]) == (
        SERVICE_B, "read:metrics", "web"
    )  # fmt: skip
    assert "act" not in claims
    assert delegation_of(answer).parent == delegation_of({"access_token": token})


@pytest.mark.conformance("TX-48", "TX-21")
def test_self_exchange_when_it_would_reach_further_then_invalid_target(story, narrower):
    tokens = story.tokens(resource=SERVICE_A)
    for audience in (SERVICE_C, SERVICE_B, [SERVICE_A, SERVICE_B]):
        with refusal_recorded("invalid_target", delegation=delegation_of(tokens)):
            response = story.exchange(tokens["access_token"], narrower, audience=audience)
        refused(response, "invalid_target")


@pytest.mark.conformance("TX-48", "TX-27")
def test_self_exchange_when_the_token_has_a_chain_then_it_stays_as_it_is(story, world, token):
    child = handed_on(story, token)
    own = handed_on(story, child["access_token"], scope="read:metrics")
    before, after = (claims_of(answer["access_token"]) for answer in (child, own))
    assert after["act"] == before["act"] == {"sub": "client:service-a", "client_id": "service-a"}
    # With an actor token, too, it is the same client that acts.
    actor = own_token(story, world.service_a_client)
    again = handed_on(
        story, child["access_token"], actor_token=actor, actor_token_type=names.ACCESS_TOKEN
    )
    assert claims_of(again["access_token"])["act"] == before["act"]


@pytest.mark.conformance("TX-47")
def test_audience_name_when_it_is_taken_then_it_can_not_stand_for_two(story, world):
    duplicate = ResourceServer(identifier="https://x.example.com", name="Service B")
    assert "name" in errors_of(duplicate)
    assert "identifier" in errors_of(ResourceServer(identifier=SERVICE_B, name="Another"))


def errors_of(row):
    try:
        row.full_clean()
    except ValidationError as error:
        return error.message_dict
    return {}
