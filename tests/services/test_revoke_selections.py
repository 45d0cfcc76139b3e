"""What a revocation ends: a preview counts exactly that, and the deed does it."""

import pytest
from django.contrib.auth import get_user_model

from delegation_app.models import AccessToken, AuditEvent, Delegation, RefreshToken
from delegation_app.services.audit import RequestContext
from delegation_app.services.delegations import revocation, selection
from delegation_app.services.delegations.selection import preview
from delegation_app.signals import delegation_revoked
from tests.support.answers import nothing_stored, recorded
from tests.support.chains import Chain, handed_on, own_token
from tests.support.world import SERVICE_A, SERVICE_B, Story, delegation_of

OPERATOR = RequestContext("user:7")


@pytest.fixture
def site(story, world):
    """A chain of alice's, one of bob's, and what cron holds for itself."""
    bob = Chain(Story(world, world.bob))
    cron = own_token(story, world.cron, resource=SERVICE_A)
    return {"alice": Chain(story), "bob": bob, "cron": cron, "world": world}


def chosen(site, name):
    """A selection, what revokes it, and how much it is: of delegations, tokens, clients, people."""
    world, alice = site["world"], site["alice"]
    user, consent = world.alice, alice.rows[0].consent
    a = world.service_a_client.row
    reason = {"reason": "x"}
    return {
        "subtree": (
            [selection.subtree(alice.rows[1])],
            lambda: revocation.subtree(alice.rows[1], OPERATOR, **reason),
            (2, 2, 0, 2, 1),
            [0],
        ),
        "user": (
            [selection.of_user(user)],
            lambda: revocation.of_user(user, OPERATOR, **reason),
            (3, 3, 1, 3, 1),
            [],
        ),
        "client": (
            [selection.of_client(a)],
            lambda: revocation.of_client(a, OPERATOR, **reason),
            (4, 4, 0, 2, 2),
            [0],
        ),
        "user at client": (
            [selection.of_user_at_client(user, a)],
            lambda: revocation.of_user_at_client(user, a, OPERATOR, **reason),
            (2, 2, 0, 2, 1),
            [0],
        ),
        "consent": (
            [selection.of_consent(consent)],
            lambda: revocation.of_consent(consent, OPERATOR, **reason),
            (3, 3, 1, 3, 1),
            [],
        ),
        "each": (
            list(selection.in_batches([alice.rows[2], alice.rows[1], site["bob"].rows[2]])),
            lambda: revocation.revoke_delegations(
                [alice.rows[2], alice.rows[1], site["bob"].rows[2]], OPERATOR, **reason
            ),
            (3, 3, 0, 2, 2),
            [0],
        ),
    }[name]  # fmt: skip


NAMES = ["subtree", "user", "client", "user at client", "consent", "each"]


@pytest.mark.conformance("DG-03", "DG-06")
@pytest.mark.parametrize("name", NAMES)
def test_selection_when_revoked_then_exactly_what_the_preview_said_has_ended(site, name):
    selected, deed, numbers, alive = chosen(site, name)
    with nothing_stored():
        told = preview(selected)
    assert (
        told.delegations, told.access_tokens, told.refresh_tokens, told.clients, told.people
    ) == numbers  # fmt: skip
    tokens = list(AccessToken.objects.values()) + list(RefreshToken.objects.values())
    assert deed() == told.delegations
    assert Delegation.objects.exclude(revoked_at=None).count() == told.delegations
    # No token row is touched.
    assert tokens == list(AccessToken.objects.values()) + list(RefreshToken.objects.values())
    assert [n for n, is_active in enumerate(site["alice"].active()) if is_active] == alive
    assert site["alice"].story.is_active(site["cron"])
    assert preview(selected).delegations == 0
    with recorded():
        assert deed() == 0


@pytest.mark.parametrize("name", NAMES)
def test_selection_when_revoked_then_one_event_for_each_that_was_chosen_itself(site, name):
    selected, deed, _, _ = chosen(site, name)
    tops = {row.pk for part in selected for row in part.tops}
    deed()
    events = AuditEvent.objects.filter(event="delegation.revoked")
    assert {event.delegation_id for event in events} == tops
    assert len(events) == len(tops)


@pytest.mark.conformance("DG-11")
def test_event_when_two_of_one_tree_end_then_each_tells_of_its_own_part(site, story):
    alice = site["alice"]
    sibling = delegation_of(handed_on(story, alice.tokens[0], scope="read:metrics"))
    heard = []

    def hear(**values):
        heard.append((values["delegation_id"], values["count"]))

    delegation_revoked.connect(hear)
    try:
        assert (
            revocation.of_user_at_client(
                site["world"].alice, site["world"].service_a_client.row, OPERATOR, reason="x"
            )
            == 3
        )
    finally:
        delegation_revoked.disconnect(hear)
    told = {
        event.delegation_id: event.details["delegations"]
        for event in AuditEvent.objects.filter(event="delegation.revoked")
    }
    assert told == {alice.rows[1].pk: 2, sibling.pk: 1}


def test_preview_when_tokens_are_opaque_then_nobody_can_be_offline_with_one(site, world, story):
    alice = site["alice"]
    offline = preview([selection.of_user(world.alice)]).offline_until
    latest = max(row.expires_at for row in AccessToken.objects.filter(delegation__in=alice.rows))
    assert (offline - latest).total_seconds() == 10
    world.service_b.token_format = "opaque"
    world.service_b.save()
    AccessToken.objects.all().update(digest=None)
    child = story.exchange(alice.tokens[0], scope="read:metrics").json()
    assert child["access_token"].count(".") == 0
    row = Delegation.objects.get(parent=alice.rows[0], scopes="read:metrics")
    told = preview([selection.subtree(row)])
    assert (told.access_tokens, told.offline_until) == (1, None)


def test_preview_when_nothing_is_chosen_then_nothing_would_end(db):
    user = get_user_model().objects.create_user("carol")
    told = preview([selection.of_user(user)])
    assert (told.delegations, told.people, told.offline_until) == (0, 0, None)
    assert preview([]) == told


def test_client_when_it_holds_in_and_below_one_tree_then_nothing_counts_twice(story, world):
    a, b = world.service_a_client, world.service_b_client
    token = story.tokens()["access_token"]
    for app, audience in ((a, SERVICE_B), (b, SERVICE_A), (a, SERVICE_B)):
        token = handed_on(story, token, app, audience=audience)["access_token"]
    told = preview([selection.of_client(a.row)])
    assert (told.delegations, told.clients, told.people) == (3, 2, 1)
    with recorded("delegation.revoked"):
        assert revocation.of_client(a.row, OPERATOR, reason="x") == 3
