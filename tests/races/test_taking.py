"""What was taken stays taken, also from whoever asks for it at the same moment."""

from functools import partial

import pytest

from delegation_app.models import (
    AccessToken,
    AuditEvent,
    ConsentRecord,
    Delegation,
    DelegationBlock,
)
from delegation_app.protocol.claims import user_subject
from delegation_app.protocol.scope import Scope
from delegation_app.services import audit
from delegation_app.services.connections import actions
from delegation_app.services.consent import approval
from delegation_app.services.delegations import blocks, creation, revocation, selection
from delegation_app.services.delegations.blocks import Authority
from delegation_app.services.delegations.narrowing import Narrowing
from tests.races.crowd import after, head_starts, until_somebody_waits
from tests.support.chains import acting_with, own_token
from tests.support.world import Story, claims_of, delegation_of, redirected

pytestmark = pytest.mark.race
OPERATOR = audit.RequestContext(actor="user:9")
READ, BOTH = "read:metrics", "read:metrics write:alerts"


@pytest.fixture(autouse=True)
def as_many_codes_as_a_race_takes(settings):
    settings.DELEGATION = {**settings.DELEGATION, "NON_INTERACTIVE_CODES_PER_MINUTE": 1000}


def given(responses):
    """The answers that have tokens; nothing else but a refusal may have been answered."""
    assert {one.status_code for one in responses} <= {200, 400}, [one.content for one in responses]
    return [one.json() for one in responses if one.status_code == 200]


def exchanged_after(jti):
    """Whether anything was exchanged after the revocation of a token; both events hold the tree."""
    ended = AuditEvent.objects.get(event="token.revoked", jti=jti)
    return AuditEvent.objects.filter(event="token.exchanged", pk__gt=ended.pk).exists()


@pytest.mark.parametrize("presented_as", ["subject", "actor"])
def test_exchange_when_a_token_that_it_presents_is_revoked_beside_it_then_none_comes_later(
    world, crowd, presented_as
):
    stories, won = [Story(world, world.alice) for _ in range(8)], set()
    story, service = stories[0], world.service_a_client
    for head_start in head_starts(crowd.rounds):
        subject, actor = story.tokens()["access_token"], own_token(story, service)
        token, holder = (subject, world.web) if presented_as == "subject" else (actor, service)
        send = [
            after(-head_start, partial(one.exchange, subject, **acting_with(actor)))
            for one in stories[1:]
        ]
        revoked, *answers = crowd.rush(
            after(head_start, partial(story.revoke, token, holder)), *send
        )

        assert revoked.status_code == 200
        won |= {one.status_code for one in answers}
        given(answers)
        assert not exchanged_after(claims_of(token)["jti"])
        again = story.exchange(subject, **acting_with(actor))
        assert (again.status_code, again.json()["error"]) == (400, "invalid_request")
        revocation.of_client(service.row, OPERATOR, reason="next round")
        DelegationBlock.objects.all().delete()
    # Both orders came up, so the race was one
    assert won == {200, 400}


@pytest.mark.postgresql
@pytest.mark.parametrize("presented_as", ["subject", "actor"])
def test_exchange_when_it_waits_for_a_tree_and_its_token_is_revoked_first_then_refused(
    world, crowd, presented_as
):
    story, other, service = Story(world, world.alice), Story(world), world.service_a_client
    subject, actor = story.tokens()["access_token"], own_token(story, service)
    token = subject if presented_as == "subject" else actor
    root = delegation_of({"access_token": token})

    def revoked_while_the_other_waits():
        # What the exchange has read by now is good
        waiting = crowd.start(partial(other.exchange, subject, **acting_with(actor)))
        until_somebody_waits()
        AccessToken.objects.filter(jti=claims_of(token)["jti"]).update(revoked_at=audit.clock.now())
        return waiting

    waiting = creation.part(holding)(root, revoked_while_the_other_waits)

    answer = waiting.result(timeout=60)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def holding(row, deed):
    """Do something while the tree of a delegation is locked."""
    Delegation.objects.select_for_update().get(public_id=row.root_id)
    return deed()


# Everybody asks while two take


class Round:
    """Alice's app, a service that got a token from it, and a client of its own, before a race."""

    def __init__(self, story):
        world = story.world
        for row in Delegation.objects.filter(revoked_at=None, depth=0):
            revocation.subtree(row, OPERATOR, reason="next round", leaves_block=False)
        DelegationBlock.objects.all().delete()
        ConsentRecord.objects.filter(withdrawn_at=None).update(withdrawn_at=audit.clock.now())
        self.tokens = story.tokens(scope=BOTH)
        self.row = delegation_of(self.tokens)
        self.child = delegation_of(story.exchange(self.tokens["access_token"]).json())
        self.own = delegation_of(story.client_credentials(scope=BOTH).json())
        self.alice, self.web, self.cron = world.alice, world.web.row, world.cron.row
        self.last = AuditEvent.objects.latest("pk").pk


def silently(story):
    return redeemed(story, story.authorize(scope=BOTH))


def on_the_page(story, page):
    return redeemed(story, story.answer(page))


def redeemed(story, response):
    assert response.status_code in {200, 303, 400, 403}, response.content
    query = redirected(response) if response.status_code == 303 else {}
    return story.redeem(query["code"]) if "code" in query else None


def narrow(row):
    return creation.narrow(row, Narrowing(scope=Scope([READ])), OPERATOR, reason="race")


def one_each(at):
    return (
        partial(revocation.subtree, at.row, OPERATOR, reason="race"),
        partial(revocation.subtree, at.own, OPERATOR, reason="race"),
    )


def narrowed(at):
    return partial(narrow, at.row), partial(narrow, at.own)


def the_child(at):
    return (
        partial(revocation.subtree, at.child, OPERATOR, reason="race"),
        partial(revocation.of_client, at.cron, OPERATOR, reason="race"),
    )


def everything_of_alice(at):
    as_alice = audit.RequestContext(actor=user_subject(at.alice.pk))
    return (
        partial(actions.end_all, at.alice, as_alice, reason="race"),
        partial(approval.withdraw, at.row.consent, OPERATOR, reason="race"),
    )


def everything_by_operators(at):
    return (
        partial(revocation.of_user, at.alice, OPERATOR, reason="race"),
        partial(revocation.of_client, at.web, OPERATOR, reason="race"),
        partial(revocation.of_user_at_client, at.alice, at.web, OPERATOR, reason="race"),
    )


def in_opposite_orders(at):
    ways = partial(selection.of_user, at.alice), partial(selection.of_client, at.cron)
    return tuple(
        partial(revocation.revoke_selections, [way() for way in order], OPERATOR, reason="race")
        for order in (ways, ways[::-1])
    )


TAKINGS = [
    one_each,
    narrowed,
    the_child,
    everything_of_alice,
    everything_by_operators,
    in_opposite_orders,
]


def is_within(row, block):
    """Whether a delegation has nothing that a block binds.

    No yes overcomes it: the page was shown before the race, and did not say that this comes back.
    """
    held = Authority.of(row)
    return blocks.cut(held, [block]) == held


def bound_by(block):
    """The live delegations of a pair that were opened since, or all of them."""
    pair = {"subject": block.subject, "delegate_client_id": block.client_id_value}
    rows = Delegation.objects.live().filter(**{name: one for name, one in pair.items() if one})
    return rows if block.everything else rows.filter(issued_at__gte=block.blocked_at)


@pytest.mark.parametrize("take", TAKINGS)
def test_everybody_when_they_ask_while_it_is_taken_then_nobody_has_it_later(world, crowd, take):
    stories = [Story(world, world.alice) for _ in range(6)]
    for head_start in head_starts(crowd.rounds // 3):
        at = Round(stories[0])
        page = stories[2].authorize(scope=BOTH, prompt="consent")
        asked = [
            partial(silently, stories[0]),
            partial(silently, stories[1]),
            partial(on_the_page, stories[2], page),
            partial(stories[3].exchange, at.tokens["access_token"]),
            partial(stories[4].client_credentials, scope=BOTH),
            partial(stories[5].refresh, at.tokens["refresh_token"]),
        ]
        deeds = [after(head_start, deed) for deed in take(at)]
        results = crowd.rush(*deeds, *[after(-head_start, ask) for ask in asked])

        told = given([one for one in results[len(deeds) :] if one is not None])
        for block in DelegationBlock.objects.all():
            for row in bound_by(block):
                assert is_within(row, block), (row, block.cause)
        tokens_are_within(told)
        nothing_comes_back(stories[0], at)


def tokens_are_within(told):
    """Nobody has a token of what was revoked, or one that says more than what is left."""
    for answer in told:
        row = delegation_of(answer)
        token = AccessToken.objects.get(jti=claims_of(answer["access_token"])["jti"])
        event = AuditEvent.objects.filter(jti=token.jti).latest("pk")
        for name in ("delegation.revoked", "delegation.narrowed"):
            taken = AuditEvent.objects.filter(event=name, delegation=row).order_by("pk").first()
            if taken is not None and event.pk > taken.pk:
                assert name == "delegation.narrowed"
                assert token.scope <= row.scopes


def nothing_comes_back(story, at):
    """What is asked for afterwards has nothing of what was taken, without a page."""
    silent = story.authorize(scope=BOTH)
    has_code = silent.status_code == 303 and "code" in redirected(silent)
    assert not (has_code and blocks.of_pair(at.row.subject, "web"))
    again = story.client_credentials(scope=BOTH)
    for block in blocks.of_pair(at.own.subject, "cron"):
        if block.everything:
            assert again.status_code == 400
        else:
            assert Scope.parse(again.json()["scope"]) == Scope([READ])


def test_client_when_its_first_delegation_is_taken_at_once_then_no_deadlock_surfaces(world, crowd):
    stories = [Story(world) for _ in range(6)]
    for _ in range(crowd.rounds // 3):
        DelegationBlock.objects.all().delete()
        Delegation.objects.update(terms_digest="", revoked_at=audit.clock.now(), revoked_by="x")
        ends = partial(revocation.of_client, world.cron.row, OPERATOR, reason="race")
        asks = [partial(one.client_credentials, scope=BOTH) for one in stories]
        answers = crowd.rush(ends, *asks, after(0.01, ends))[1:-1]

        assert {one.status_code for one in answers} <= {200, 400}
        assert not Delegation.objects.live().exists()
        assert stories[0].client_credentials(scope=READ).status_code == 400
