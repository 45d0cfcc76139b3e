"""Each exchange opens a child of what it presents: the tree, its end and its limits."""

import pytest
from django.test import override_settings

from delegation_app.models import AuditEvent
from delegation_app.protocol import names
from delegation_app.protocol.errors import InvalidToken
from delegation_app.services.audit import RequestContext
from delegation_app.services.delegations import revocation
from delegation_app.services.tokens import local_verifier
from tests.support.answers import recorded, refusal_recorded, refused
from tests.support.chains import act_of, handed_on, last_event
from tests.support.world import SERVICE_A, SERVICE_B, SERVICE_C, claims_of, delegation_of

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
def test_child_when_made(chain, world):
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


@pytest.mark.conformance("TX-35", "TX-36", "DG-03", "DG-04", "DG-06", "DG-08")
@pytest.mark.parametrize("which", ENDS)
@pytest.mark.consequence(
    1,
    "a delegation is revoked",
    "its codes, its tokens and everything below it are dead with the same commit; services "
    "that verify offline refuse them within seconds",
)
def test_f8_chain_when_one_is_revoked(chain, world, which):
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


@pytest.mark.conformance("DG-08", "TX-35")
@pytest.mark.parametrize("name", ["web", "service_a_client"])
def test_d10_chain_when_a_client_above_is_disabled(chain, world, name):
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


# What a child is like: its life, its depth, its reuse, and what is told of it
@pytest.mark.conformance("TX-23", "DG-02")
def test_f11_token_when_the_subject_has_little_time_left(story, clock):
    root = story.tokens()
    clock.forward(seconds=570)
    child = handed_on(story, root["access_token"])
    assert child["expires_in"] == 30
    assert claims_of(child["access_token"])["exp"] == claims_of(root["access_token"])["exp"]
    clock.forward(seconds=10)
    own = handed_on(story, child["access_token"], scope="read:metrics")
    assert own["expires_in"] == 20


@pytest.mark.conformance("TX-39", "TX-23")
def test_f11_refresh_when_of_a_child(chain, world, clock):
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
def test_f11_refresh_when_it_asks_for_more_than_the_child_has(chain, world):
    story, text = chain.story, chain.answers[1]["refresh_token"]
    app = world.service_a_client
    app.policy.audiences.add(world.service_c)
    refused(story.refresh(text, app, resource=SERVICE_C), "invalid_target")
    refused(story.refresh(text, app, scope="read:metrics read:profile"), "invalid_scope")
    refused(story.refresh(text, world.web), "invalid_grant")


# Depth, cycles, reuse


@pytest.mark.conformance("TX-38", "TX-26", "TX-27")
def test_cycle_when_a_and_b_take_turns(story, world):
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
def test_depth_when_the_site_allows_less(story, most):
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


@pytest.mark.conformance("DG-11")
def test_trail_when_only_a_jti_is_known(chain, world):
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
