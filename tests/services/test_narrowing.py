"""Narrowing a live delegation: what is left, at once, for it and for all below."""

from datetime import timedelta

import pytest
from django.utils import timezone

from delegation_app.protocol.audience import Audience
from delegation_app.protocol.constraints import Constraints, InvalidConstraint
from delegation_app.protocol.errors import (
    InvalidRequest,
    InvalidScope,
    InvalidTarget,
    InvalidToken,
    OutsideLimits,
)
from delegation_app.protocol.scope import Scope
from delegation_app.protocol.verified_token import Call
from delegation_app.services.audit import RequestContext
from delegation_app.services.delegations import creation, revocation
from delegation_app.services.delegations.narrowing import Narrowing
from delegation_app.services.tokens import local_verifier
from tests.support.answers import nothing_stored, recorded, refused
from tests.support.chains import Chain, handed_on, last_event
from tests.support.world import SERVICE_A, SERVICE_B, SERVICE_C, delegation_of

OPERATOR = RequestContext("user:7")
READ = Scope(["read:metrics"])


@pytest.fixture
def chain(story):
    return Chain(story)


def narrow(row, **to):
    return creation.narrow(row, Narrowing(**to), OPERATOR, reason="too much")


def limits(*members):
    return Constraints.parse(list(members))


@pytest.mark.conformance("DG-02", "TX-37")
@pytest.mark.consequence(
    2,
    "a delegation is narrowed",
    "everything below it is narrowed too; what is left with nothing is revoked",
)
def test_scope_when_narrowed_at_the_root_then_every_token_below_has_less(chain, world):
    with recorded("delegation.narrowed"):
        current = narrow(chain.rows[0], scope=READ)
    assert current.scopes == READ
    askers = (world.service_a_client, world.service_b_client, world.service_c_client)
    for token, asker in zip(chain.tokens, askers, strict=True):
        assert chain.story.introspect(token, asker).json()["scope"] == "read:metrics"
    assert local_verifier.verify(chain.tokens[2], SERVICE_C).scope == READ
    refused(chain.story.exchange(chain.tokens[0], scope="write:alerts"), "invalid_scope")
    assert handed_on(chain.story, chain.tokens[0])["scope"] == "read:metrics"


@pytest.mark.conformance("DG-06")
def test_scope_when_narrowed_in_the_middle_then_nothing_above_or_beside_changes(chain, world):
    sibling = handed_on(chain.story, chain.tokens[0], scope="write:alerts")
    narrow(chain.rows[1], scope=READ)
    assert "write:alerts" in chain.story.introspect(chain.tokens[0]).json()["scope"]
    told = chain.story.introspect(chain.tokens[2], world.service_c_client).json()
    assert told["scope"] == "read:metrics"
    beside = chain.story.introspect(sibling["access_token"], world.service_b_client).json()
    assert beside["scope"] == "write:alerts"


def test_child_when_nothing_of_its_scope_is_left_then_it_is_revoked(chain, world):
    story = chain.story
    writer = handed_on(story, chain.tokens[0], scope="write:alerts")
    below = handed_on(story, writer["access_token"], world.service_b_client, audience=SERVICE_C)
    with recorded("delegation.revoked", "delegation.narrowed"):
        narrow(chain.rows[0], scope=READ)
    for answer in (writer, below):
        assert delegation_of(answer).revoked_at is not None
    assert last_event(event="delegation.narrowed").details["ended"] == 2
    assert chain.active() == [True] * 3


def test_refresh_token_when_its_delegation_was_narrowed_then_it_is_told_what_is_left(story):
    both = story.tokens(resource=[SERVICE_A, SERVICE_B])
    narrow(delegation_of(both), scope=READ, audience=Audience([SERVICE_A]))
    told = story.introspect(both["refresh_token"], story.world.web).json()
    assert (told["scope"], told["aud"]) == ("read:metrics", SERVICE_A)
    told = story.introspect(both["access_token"]).json()
    assert (told["scope"], told["aud"]) == ("read:metrics", SERVICE_A)
    answer = story.refresh(both["refresh_token"]).json()
    assert answer["scope"] == "read:metrics"


@pytest.mark.conformance("DG-02")
def test_audience_when_narrowed_then_only_its_own_tokens_are_refused_elsewhere(story, world):
    tokens = story.tokens(resource=[SERVICE_A, SERVICE_B])
    child = handed_on(story, tokens["access_token"])
    narrow(delegation_of(tokens), audience=Audience([SERVICE_A]))
    assert story.is_active(tokens["access_token"])
    assert not story.is_active(tokens["access_token"], world.service_b_client)
    with pytest.raises(InvalidToken):
        local_verifier.verify(tokens["access_token"], SERVICE_B)
    # How far it may be handed on is the constraint resource_servers, not its own audience.
    assert story.is_active(child["access_token"], world.service_b_client)


@pytest.mark.conformance("DG-02", "TX-37")
def test_reach_when_narrowed_then_what_lies_outside_is_refused_at_every_depth(chain, world):
    only = limits({"type": "resource_servers", "identifiers": [SERVICE_A, SERVICE_C]})
    narrow(chain.rows[0], constraints=only)
    assert chain.active() == [True, False, True]
    with pytest.raises(OutsideLimits):
        local_verifier.verify(chain.tokens[1], SERVICE_B)
    refused(chain.story.exchange(chain.tokens[0]), "invalid_target")


def test_reach_when_narrowed_to_one_of_two_then_the_holder_is_still_told_of_it(story, world):
    tokens = story.tokens(resource=[SERVICE_A, SERVICE_B])
    only = limits({"type": "resource_servers", "identifiers": [SERVICE_A]})
    narrow(delegation_of(tokens), constraints=only)
    assert local_verifier.verify(tokens["access_token"], SERVICE_A)
    for caller in (world.service_a_client, world.web, world.operator_tool):
        assert story.is_active(tokens["access_token"], caller), caller.client_id
    assert not story.is_active(tokens["access_token"], world.service_b_client)
    # Somebody who speaks for both hears what holds at either.
    world.service_b.introspectors.add(world.service_a_client.row)
    assert story.is_active(tokens["access_token"], world.service_a_client)


@pytest.mark.conformance("DG-02", "DG-07")
def test_expiry_when_narrowed_then_all_below_end_with_it(chain, clock):
    ends = clock.time + timedelta(seconds=60)
    narrow(chain.rows[0], expires_at=ends)
    for row in chain.rows:
        row.refresh_from_db()
        assert row.expires_at == ends
    clock.forward(seconds=60)
    assert chain.active() == [False] * 3


@pytest.mark.conformance("TX-37", "DG-10")
def test_constraint_when_added_then_it_holds_below_too(chain, world):
    narrow(chain.rows[0], constraints=limits({"type": "ip_range", "networks": ["10.0.0.0/8"]}))
    with pytest.raises(OutsideLimits):
        local_verifier.verify(chain.tokens[2], SERVICE_C, Call(ip="127.0.0.1"))
    assert local_verifier.verify(chain.tokens[2], SERVICE_C, Call(ip="10.1.2.3"))
    refused(chain.story.exchange(chain.tokens[1], world.service_b_client, audience=SERVICE_C),
            "invalid_request")  # fmt: skip


def test_depth_when_limited_then_each_generation_has_one_less(chain):
    narrow(chain.rows[0], constraints=limits({"type": "max_depth", "depth": 1}))
    depths = []
    for row in chain.rows:
        row.refresh_from_db()
        depths.append(row.constraints.get("max_depth").depth)
    assert depths == [1, 0, 0]
    assert handed_on(chain.story, chain.tokens[0], scope="read:metrics")


def test_uses_when_limited_then_the_whole_subtree_counts_from_then_on(chain):
    narrow(chain.rows[0], constraints=limits({"type": "max_uses", "uses": 2}))
    story = chain.story
    handed_on(story, chain.tokens[0])
    handed_on(story, chain.tokens[0], scope="read:metrics")
    refused(story.exchange(chain.tokens[0]), "invalid_request")
    refused(story.refresh(chain.answers[0]["refresh_token"]), "invalid_grant")


WIDER = {
    "scope": ({"scope": Scope(["read:metrics", "read:profile"])}, InvalidScope),
    "no scope": ({"scope": Scope()}, InvalidScope),
    "audience": ({"audience": Audience([SERVICE_A, SERVICE_B])}, InvalidTarget),
    "no audience": ({"audience": Audience()}, InvalidTarget),
    "later": ({"expires_at": timezone.now() + timedelta(days=9999)}, InvalidRequest),
    "past": ({"expires_at": timezone.now() - timedelta(days=1)}, InvalidRequest),
    "nothing in common": (
        {"constraints": Constraints.parse([{"type": "ip_range", "networks": ["10.0.0.0/8"]}])},
        InvalidConstraint,
    ),
}


@pytest.mark.conformance("TX-37")
@pytest.mark.parametrize("name", WIDER)
def test_narrowing_when_it_is_none_then_refused_and_nothing_changes(story, world, name):
    to, error = WIDER[name]
    world.web.change(constraints=limits({"type": "ip_range", "networks": ["127.0.0.0/8"]}))
    row = delegation_of(story.tokens())
    with nothing_stored(), recorded(), pytest.raises(error):
        narrow(row, **to)


def test_narrowing_when_the_delegation_has_ended_then_refused(chain):
    revocation.subtree(chain.rows[0], OPERATOR, reason="x")
    with nothing_stored(), recorded(), pytest.raises(InvalidRequest):
        narrow(chain.rows[2], scope=READ)


def test_child_when_a_constraint_leaves_it_nothing_then_it_is_revoked_and_the_top_is_not(
    story, world
):
    networks = {"type": "ip_range", "networks": ["127.0.0.0/8"]}
    world.service_a_client.change(constraints=limits(networks))
    chain = Chain(story)
    with recorded("delegation.revoked", "delegation.narrowed"):
        narrow(chain.rows[0], constraints=limits({"type": "ip_range", "networks": ["10.0.0.0/8"]}))
    assert chain.active() == [True, False, False]
    assert delegation_of(chain.answers[1]).revocation_reason


def test_event_when_narrowed_then_it_says_what_was_and_what_is(chain):
    narrow(chain.rows[0], scope=READ)
    event = last_event(event="delegation.narrowed")
    assert (event.actor, event.reason, event.delegation) == ("user:7", "too much", chain.rows[0])
    assert event.details["before"]["scope"] == "read:metrics write:alerts"
    assert event.details["after"]["scope"] == "read:metrics"


def test_row_when_nothing_of_it_changes_then_it_is_not_written(
    chain, django_assert_max_num_queries
):
    with django_assert_max_num_queries(8):
        narrow(chain.rows[0], scope=Scope(["read:metrics", "write:alerts"]))
