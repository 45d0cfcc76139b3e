"""Each exchange hangs a child under what it was made from: the tree, its end and its limits."""

import pytest

from delegation_app.models import AuditEvent, Delegation
from delegation_app.protocol import names
from delegation_app.protocol.errors import InvalidToken
from delegation_app.services.audit import RequestContext
from delegation_app.services.consent import approval
from delegation_app.services.delegations import revocation
from delegation_app.services.tokens import local_verifier
from tests.support.answers import recorded, refusal_recorded, refused
from tests.support.chains import Chain, handed_on
from tests.support.world import SERVICE_A, SERVICE_B, SERVICE_C, delegation_of

OPERATOR = RequestContext("user:7")
WHERE = (SERVICE_A, SERVICE_B, SERVICE_C)


def verified(chain):
    """Which of the three tokens the verifier of this process takes."""
    answers = []
    for token, audience in zip(chain.tokens, WHERE, strict=True):
        try:
            local_verifier.verify(token, audience)
        except InvalidToken:
            answers.append(False)
        else:
            answers.append(True)
    return answers


def refreshable(chain):
    """Which of the three can be refreshed; None for another reason than an ended delegation."""
    world = chain.story.world
    holders = (world.web, world.service_a_client, world.service_b_client)
    answers = []
    for answer, app in zip(chain.answers, holders, strict=True):
        response = chain.story.refresh(answer["refresh_token"], app)
        answers.append(response.status_code == 200)
        if response.status_code == 200:
            answer["refresh_token"] = response.json()["refresh_token"]
        else:
            assert response.json()["error"] in {"invalid_grant", "invalid_client"}
    return answers


def exchangeable(chain, *refusals):
    """Which of the three can be exchanged."""
    world = chain.story.world
    refusals = {"invalid_request", "invalid_client", *refusals}
    ways = (
        (world.service_a_client, SERVICE_B),
        (world.service_b_client, SERVICE_C),
        (world.service_c_client, SERVICE_A),
    )
    answers = []
    for token, (app, audience) in zip(chain.tokens, ways, strict=True):
        response = chain.story.exchange(token, app, audience=audience)
        answers.append(response.status_code == 200)
        if response.status_code != 200:
            assert response.json()["error"] in refusals
    return answers


@pytest.mark.conformance("TX-35", "DG-01")
def test_child_when_made_then_it_hangs_under_the_subjects_delegation(chain, world):
    root, child, grandchild = chain.rows
    assert (root.parent, child.parent, grandchild.parent) == (None, root, child)
    assert [row.depth for row in chain.rows] == [0, 1, 2]
    assert {row.root_id for row in chain.rows} == {root.public_id}
    assert grandchild.chain == [str(row.public_id) for row in chain.rows]
    for row in (child, grandchild):
        assert row.grant_type == names.TOKEN_EXCHANGE
        assert row.principal_user == world.alice
        assert (row.subject, row.consent) == (root.subject, root.consent)
        assert row.auth_time == root.auth_time
        assert row.expires_at == root.expires_at


ENDS = {
    "root": (0, [False, False, False]),
    "middle": (1, [True, False, False]),
    "leaf": (2, [True, True, False]),
}


@pytest.mark.conformance("TX-35", "TX-36", "DG-03", "DG-04", "DG-06")
@pytest.mark.parametrize("which", ENDS)
@pytest.mark.consequence(
    1,
    "a delegation is revoked",
    "its codes, its tokens and everything below it are dead with the same commit; services "
    "that verify offline refuse them within seconds",
)
def test_f8_chain_when_one_is_revoked_then_it_and_all_below_are_dead(chain, world, which):
    index, alive = ENDS[which]
    sibling = handed_on(chain.story, chain.tokens[0], scope="read:metrics")
    with recorded("delegation.revoked"):
        ended = revocation.subtree(chain.rows[index], OPERATOR, reason="x")
    # The sibling hangs under the root
    assert ended == (4, 2, 1)[index]
    assert chain.active() == verified(chain) == alive
    assert refreshable(chain) == alive
    # Never sideways: what its client holds beside it goes on.
    assert chain.story.is_active(sibling["access_token"], world.service_b_client) == (index > 0)
    # What is alive above can be handed on, but not to the client from which it was taken.
    again = [alive[0], alive[1], False]
    if index:
        again[index - 1] = False
    assert exchangeable(chain, "invalid_target") == again
    assert revocation.subtree(chain.rows[index], OPERATOR, reason="x") == 0


@pytest.mark.conformance("TX-36")
@pytest.mark.parametrize("index", [0, 1])
def test_f8_leaf_when_an_ancestor_was_revoked_then_it_can_not_be_handed_on(chain, world, index):
    revocation.subtree(chain.rows[index], OPERATOR, reason="x")
    with refusal_recorded("invalid_request", delegation=chain.rows[2]):
        response = chain.story.exchange(chain.tokens[2], world.service_c_client, audience=SERVICE_A)
    refused(response, "invalid_request")


def test_child_when_it_was_revoked_then_its_client_gets_no_other(chain, world):
    story = chain.story
    revocation.subtree(chain.rows[1], OPERATOR, reason="x")
    for changes in ({}, {"scope": "read:metrics"}):
        with refusal_recorded("invalid_target", delegation=chain.rows[0]):
            refused(story.exchange(chain.tokens[0], **changes), "invalid_target")
    # From what alice allows on a page later it may.
    assert handed_on(story, story.tokens(prompt="consent")["access_token"])


def test_child_when_its_client_gave_it_back_then_the_next_exchange_opens_another(chain):
    itself = RequestContext(actor=f"client:{chain.rows[1].delegate_client_id}")
    revocation.subtree(chain.rows[1], itself, reason="x")
    with recorded("delegation.chained", "token.exchanged"):
        answer = handed_on(chain.story, chain.tokens[0])
    assert delegation_of(answer) not in chain.rows
    assert not chain.story.is_active(chain.tokens[1], chain.story.world.service_b_client)


@pytest.mark.conformance("DG-08", "TX-35")
@pytest.mark.parametrize("name", ["web", "service_a_client"])
def test_d10_chain_when_a_client_above_is_disabled_then_all_below_wait(chain, world, name):
    index = ["web", "service_a_client"].index(name)
    alive = [position < index for position in range(3)]
    world.apps[name].change(enabled=False)
    assert verified(chain) == alive
    assert refreshable(chain) == alive
    assert exchangeable(chain)[1:] == [False, False]
    told = [chain.story.is_active(token, world.operator_tool) for token in chain.tokens]
    assert told == alive
    # Nothing was revoked, so it goes on where it stopped.
    world.apps[name].change(enabled=True)
    assert verified(chain) == [True] * 3
    assert refreshable(chain) == [True] * 3


def _deactivate(world):
    type(world.alice).objects.filter(pk=world.alice.pk).update(is_active=False)


def _withdraw(_world):
    record = Delegation.objects.filter(depth=0).get().consent
    assert approval.withdraw(record, OPERATOR, reason="x") == 3


@pytest.mark.conformance("DG-08", "DG-04", "TX-35")
@pytest.mark.parametrize(
    "stop",
    [_deactivate, _withdraw, lambda world: world.alice.delete(), lambda w: w.web.row.delete()],
    ids=["person inactive", "consent withdrawn", "person deleted", "root's client deleted"],
)
def test_d10_chain_when_what_it_stands_on_goes_then_nothing_of_it_works(chain, world, stop):
    stop(world)
    assert chain.active() == verified(chain) == refreshable(chain) == [False] * 3
    assert exchangeable(chain) == [False] * 3


@pytest.mark.conformance("DG-07")
def test_chain_when_the_roots_delegation_expires_then_everything_below_has(story, world, clock):
    world.web.change(delegation_lifetime=300)
    chain = Chain(story)
    clock.forward(seconds=299)
    assert chain.active() == [True] * 3
    clock.forward(seconds=1)
    assert chain.active() == verified(chain) == exchangeable(chain) == [False] * 3
    assert not AuditEvent.objects.filter(event="delegation.revoked").exists()
