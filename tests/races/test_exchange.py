"""Token exchange under concurrency: revocation wins, and same terms are one child."""

from functools import partial
from threading import Event
from unittest import mock

import pytest

from delegation_app import clock
from delegation_app.models import AccessToken, Delegation, DelegationBlock
from delegation_app.protocol.errors import InvalidToken
from delegation_app.protocol.scope import Scope
from delegation_app.services import audit
from delegation_app.services.clients import lookup
from delegation_app.services.delegations import creation, revocation, selection
from delegation_app.services.delegations.narrowing import Narrowing
from delegation_app.services.tokens import introspection, issuing, local_verifier
from tests.races.crowd import after, head_starts, new_child, new_root, until_somebody_waits
from tests.support.world import SERVICE_A, SERVICE_B, SERVICE_C, Story, claims_of

pytestmark = pytest.mark.race
OPERATOR = audit.RequestContext(actor="user:9")


def lift_blocks():
    """What the round before took from the services stays taken: no page here names it."""
    DelegationBlock.objects.filter(lifted_at=None).update(lifted_at=clock.now(), lifted_by="user:9")


class Chain:
    """A user's delegation at A, which was delegated onward to B, and from there to C."""

    def __init__(self, world):
        lift_blocks()
        root, first = new_root(world.alice)
        middle, second = new_child(first["access_token"], "service-a", SERVICE_B)
        parent, third = new_child(second["access_token"], "service-b", SERVICE_C)
        self.rows = {"root": root, "middle": middle, "parent": parent}
        self.tokens = [answer["access_token"] for answer in (first, second, third)]


def accepted(world, token):
    """Whether anybody accepts a token, who asks or verifies; all of them must agree."""
    answer = introspection.introspect(token, lookup.find("operator-tool", lookup.INTROSPECTS))
    audience = claims_of(token)["aud"]
    try:
        verified = local_verifier.verify(token, audience).scope
    except InvalidToken:
        verified = Scope()
    assert Scope.parse(answer.get("scope", "")) == verified
    return bool(verified)


def exchanged_again(story, token):
    """Send a token to the exchange as whoever stands in its audience."""
    world = story.world
    onward = {
        SERVICE_A: (world.service_a_client, SERVICE_B),
        SERVICE_B: (world.service_b_client, SERVICE_C),
        SERVICE_C: (world.service_c_client, SERVICE_A),
    }
    app, audience = onward[claims_of(token)["aud"]]
    return story.exchange(token, app, audience=audience)


def nothing_lives_below_what_was_revoked():
    standing = Delegation.objects.filter(revoked_at=None)
    return not standing.filter(parent__revoked_at__isnull=False).exists()


@pytest.mark.parametrize(("node", "left"), [("parent", 2), ("middle", 1), ("root", 0)])
def test_exchange_when_beside_a_revocation_above_it_then_nothing_below_is_accepted(
    world, crowd, node, left
):
    story, won = Story(world), set()
    for head_start in head_starts(crowd.rounds):
        chain = Chain(world)
        exchanged, ended = crowd.rush(
            after(-head_start, partial(exchanged_again, story, chain.tokens[-1])),
            after(
                head_start, partial(revocation.subtree, chain.rows[node], OPERATOR, reason="race")
            ),
        )

        assert exchanged.status_code in {200, 400}
        won.add(exchanged.status_code)
        # Whoever came second saw what the first one did
        assert ended == 3 - left + (exchanged.status_code == 200)
        assert [accepted(world, token) for token in chain.tokens] == [n < left for n in range(3)]
        assert nothing_lives_below_what_was_revoked()
        gone = chain.tokens[left:]
        if exchanged.status_code == 200:
            gone.append(exchanged.json()["access_token"])
            assert not accepted(world, gone[-1])
        for token in gone[-2:]:
            again = exchanged_again(story, token)
            assert (again.status_code, again.json()["error"]) == (400, "invalid_request")
    # Both orders came up, so the race was one.
    assert won == {200, 400}


def test_exchange_when_identical_and_sent_by_many_at_once_then_one_child_with_all_tokens(
    world, crowd
):
    stories = [Story(world) for _ in range(crowd.size)]
    for _ in range(crowd.rounds):
        root, answer = new_root(world.alice)
        responses = crowd.rush(
            *[partial(story.exchange, answer["access_token"]) for story in stories]
        )

        assert {r.status_code for r in responses} == {200}
        child = Delegation.objects.get(parent=root)
        jtis = {claims_of(r.json()["access_token"])["jti"] for r in responses}
        assert len(jtis) == crowd.size
        assert set(child.access_tokens.values_list("jti", flat=True)) == jtis


def test_exchange_when_uses_are_counted_and_many_come_at_once_then_exactly_so_many_succeed(
    world, crowd
):
    stories, most = [Story(world) for _ in range(crowd.size)], 5
    for _ in range(crowd.rounds // 8):
        # The first one was the person's own
        limit = {"type": "max_uses", "uses": most + 1}
        root, answer = new_root(world.alice, constraints=[limit])
        responses = crowd.rush(
            *[partial(story.exchange, answer["access_token"]) for story in stories]
        )

        outcomes = [r.json().get("error", "") for r in responses]
        assert sorted(outcomes) == [""] * most + ["invalid_request"] * (crowd.size - most)
        assert AccessToken.objects.filter(delegation__root=root.public_id).count() == most + 1
        root.refresh_from_db()
        assert root.uses == most + 1


def test_exchange_when_beside_a_narrowing_then_no_token_is_wider_than_what_is_left(world, crowd):
    story, won = Story(world), set()
    wide, left = "read:metrics write:alerts", Scope.parse("read:metrics")
    narrow = partial(creation.narrow, to=Narrowing(left), origin=OPERATOR, reason="race")
    for head_start in head_starts(crowd.rounds):
        root, answer = new_root(world.alice)
        exchanged, _ = crowd.rush(
            after(-head_start, partial(story.exchange, answer["access_token"], scope=wide)),
            after(head_start, partial(narrow, root)),
        )

        assert exchanged.status_code in {200, 400}
        won.add(exchanged.status_code)
        if exchanged.status_code == 400:
            assert exchanged.json()["error"] == "invalid_scope"
        else:
            assert local_verifier.verify(exchanged.json()["access_token"], SERVICE_B).scope == left
        assert local_verifier.verify(answer["access_token"], SERVICE_A).scope == left
        assert {row.scopes for row in Delegation.objects.filter(root=root.public_id)} == {left}
        again = story.exchange(answer["access_token"], scope=wide)
        assert (again.status_code, again.json()["error"]) == (400, "invalid_scope")
    assert won == {200, 400}


def forest(world):
    """Trees of two users at two clients, each with a child: their roots and their answers."""
    lift_blocks()
    trees = [new_root(user, app) for user in (world.alice, world.bob) for app in ("web", "other")]
    for _, answer in trees:
        new_child(answer["access_token"], "service-a", SERVICE_B)
    return [row for row, _ in trees], [answer for _, answer in trees]


def test_bulk_revocations_when_in_opposite_orders_then_no_deadlock_surfaces_and_all_has_ended(
    world, crowd
):
    stories = [Story(world) for _ in range(8)]
    web, service = world.web.row, world.service_a_client.row
    orders = (
        [selection.of_user(world.alice), selection.of_user(world.bob)],
        [selection.of_user(world.bob), selection.of_user(world.alice)],
        [selection.of_client(service), selection.of_client(web)],
        [selection.of_client(web), selection.of_client(service)],
    )
    for _ in range(crowd.rounds // 3):
        roots, answers = forest(world)
        deeds = [
            partial(revocation.revoke_selections, order, OPERATOR, reason="race")
            for order in orders
        ]
        deeds += [
            partial(revocation.revoke_delegations, roots, OPERATOR, reason="race"),
            partial(revocation.revoke_delegations, roots[::-1], OPERATOR, reason="race"),
        ]
        holders = (world.web, world.other) * 2
        calls = [
            partial(story.exchange, answer["access_token"])
            for story, answer in zip(stories, answers, strict=False)
        ] + [
            partial(story.refresh, answer["refresh_token"], app)
            for story, answer, app in zip(stories[4:], answers, holders, strict=True)
        ]
        results = crowd.rush(*deeds, *calls)

        responses = results[len(deeds) :]
        assert {r.status_code for r in responses} <= {200, 400}
        assert not Delegation.objects.live().exists()
        assert Delegation.objects.filter(revoked_at=None).count() == 0
        given = [r.json()["access_token"] for r in responses if r.status_code == 200]
        assert not any(accepted(world, token) for token in given)


@pytest.mark.postgresql
def test_client_when_revoked_beside_a_tree_that_it_just_entered_then_no_part_of_it_is_left(
    world, crowd
):
    root, first = new_root(world.alice)
    _, second = new_child(first["access_token"], "service-a", SERVICE_B)
    inserted = Event()
    hold, issue = revocation._hold_trees, issuing.issue

    def issue_slowly(*args, **kwargs):
        issued = issue(*args, **kwargs)
        inserted.set()
        # The revocation looks again once nobody opens another one, and waits for this tree
        until_somebody_waits()
        return issued

    def hold_and_look_away(selected):
        held = hold(selected)
        if handed_on:
            return held
        # The client comes into a tree that is not locked, and what it got is handed on at once
        enter = partial(new_child, second["access_token"], "service-b", SERVICE_C)
        ((_, third),) = crowd.rush(enter)
        onward = partial(new_child, third["access_token"], "service-c", SERVICE_A)
        with mock.patch.object(issuing, "issue", issue_slowly):
            handed_on.append(crowd.start(onward))
            assert inserted.wait(timeout=60)
        return held

    handed_on = []
    with mock.patch.object(revocation, "_hold_trees", hold_and_look_away):
        revocation.of_client(world.service_b_client.row, OPERATOR, reason="race")
    handed_on[0].result(timeout=60)

    assert Delegation.objects.filter(root=root.public_id).count() == 4
    assert nothing_lives_below_what_was_revoked()
