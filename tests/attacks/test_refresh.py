"""Attacks on refresh tokens and on what revocation reaches: group D of the threat list."""

from itertools import pairwise

import pytest

from delegation_app.models import AccessToken, AuditEvent, Delegation, RefreshToken
from delegation_app.services.audit import RequestContext
from delegation_app.services.consent import approval
from delegation_app.services.delegations import revocation
from tests.support.answers import nothing_stored, recorded, refusal_recorded, refused
from tests.support.world import claims_of, delegation_of

OPERATOR = RequestContext("user:7")


@pytest.mark.parametrize("generation", [0, 1, 2])
@pytest.mark.parametrize("seconds", [0, 5, 3600])
def test_d4_old_generation_when_replayed_then_the_family_ends(story, clock, generation, seconds):
    family = [story.tokens()]
    for _ in range(4):
        family.append(story.refresh(family[-1]["refresh_token"]).json())
    clock.forward(seconds=seconds)
    with recorded("delegation.revoked"):
        refused(story.refresh(family[generation]["refresh_token"]), "invalid_grant")
    for tokens in family:
        assert not story.is_active(tokens["access_token"])
        refused(story.refresh(tokens["refresh_token"]), "invalid_grant")
    event = AuditEvent.objects.get(event="delegation.revoked")
    assert event.reason == "refresh token reused"
    assert event.actor == "system"
    assert RefreshToken.objects.count() == 5


def test_d4_family_when_another_one_of_the_same_client_is_replayed_then_it_lives_on(story, clock):
    stolen, other = story.tokens(), story.tokens()
    story.refresh(stolen["refresh_token"])
    clock.forward(seconds=60)
    refused(story.refresh(stolen["refresh_token"]), "invalid_grant")
    assert story.is_active(other["access_token"])
    assert story.refresh(other["refresh_token"]).status_code == 200


@pytest.mark.parametrize("which", ["presented", "successor"])
def test_d5_token_when_revoked_then_the_retry_window_does_not_help(story, which):
    first = story.tokens()
    second = story.refresh(first["refresh_token"]).json()
    story.revoke((first if which == "presented" else second)["refresh_token"])
    for tokens in (first, second):
        with refusal_recorded("invalid_grant"):
            refused(story.refresh(tokens["refresh_token"]), "invalid_grant")


def test_d5_retry_when_it_asks_for_more_than_was_granted_then_it_is_refused(story):
    first = story.tokens(scopes=["read:metrics"])
    story.refresh(first["refresh_token"])
    with refusal_recorded("invalid_scope"):
        response = story.refresh(first["refresh_token"], scope="read:metrics write:alerts")
    refused(response, "invalid_scope")


def test_d8_cascade_when_the_refresh_token_is_revoked_then_every_view_of_it_is_dead(story, world):
    code = story.code()
    tokens = story.redeem(code).json()
    unused = story.code()
    story.revoke(tokens["refresh_token"])
    assert not story.is_active(tokens["access_token"])
    refused(story.refresh(tokens["refresh_token"]), "invalid_grant")
    refused(story.redeem(code), "invalid_grant")
    # A code of another delegation of the same client is not under it.
    assert story.redeem(unused).status_code == 200


def test_d8_cascade_when_the_delegation_is_revoked_then_every_view_of_it_is_dead(story):
    code = story.code()
    delegation = Delegation.objects.get()
    revocation.subtree(delegation, OPERATOR, reason="operator")
    with refusal_recorded("invalid_grant"):
        refused(story.redeem(code), "invalid_grant")
    tokens = story.tokens(prompt="consent")
    revocation.subtree(delegation_of(tokens), OPERATOR, reason="operator")
    assert not story.is_active(tokens["access_token"])
    refused(story.refresh(tokens["refresh_token"]), "invalid_grant")


def test_d8_cascade_when_an_ancestor_is_revoked_then_children_and_grandchildren_are_dead(
    story, world
):
    tokens = [story.tokens(prompt="consent") for _ in range(3)]
    rows = [delegation_of(answer) for answer in tokens]
    for parent, child in pairwise(rows):
        child.parent = parent
        child.root_id, child.depth = parent.root_id, parent.depth + 1
        child.path = f"{parent.path}{child.public_id.hex}/"
        child.save()
    assert all(story.is_active(answer["access_token"]) for answer in tokens)
    with recorded("delegation.revoked"):
        story.revoke(tokens[1]["refresh_token"])
    assert [story.is_active(answer["access_token"]) for answer in tokens] == [True, False, False]
    refused(story.refresh(tokens[2]["refresh_token"]), "invalid_grant")
    # Only delegation rows were written.
    assert not AccessToken.objects.exclude(revoked_at=None).exists()
    assert story.refresh(tokens[0]["refresh_token"]).status_code == 200


def _deactivate(world):
    world.alice.is_active = False
    world.alice.save()


def _delete_user(world):
    world.alice.delete()


def _disable_client(world):
    world.web.change(enabled=False)


def _delete_client(world):
    world.web.row.delete()


def _withdraw(world):
    approval.withdraw(Delegation.objects.get().consent, OPERATOR, reason="withdrawn")


def _remove_scopes(world):
    world.web.change(scopes="read:profile")


def _remove_audience(world):
    world.web.policy.audiences.set([world.service_b])


def _close_service(world):
    world.service_a.active = False
    world.service_a.save()


@pytest.mark.parametrize(
    ("disable", "code", "status"),
    [
        (_deactivate, "invalid_grant", 400),
        (_delete_user, "invalid_grant", 400),
        (_disable_client, "invalid_client", 401),
        (_delete_client, "invalid_client", 401),
        (_withdraw, "invalid_grant", 400),
        (_remove_scopes, "invalid_scope", 400),
        (_remove_audience, "invalid_target", 400),
        (_close_service, "invalid_target", 400),
    ],
)
def test_d10_d11_refresh_and_introspection_when_something_is_disabled_then_both_refuse(
    story, world, disable, code, status
):
    tokens = story.tokens()
    disable(world)
    with refusal_recorded(code):
        refused(story.refresh(tokens["refresh_token"]), code, status)
    assert story.introspect(tokens["access_token"]).json() == {"active": False}
    assert story.introspect(tokens["access_token"], world.operator_tool).json() == {"active": False}


def test_d10_scope_when_one_of_two_is_taken_from_the_client_then_refresh_gives_the_other(
    story, world
):
    tokens = story.tokens()
    world.web.change(scopes="read:metrics")
    answer = story.refresh(tokens["refresh_token"]).json()
    assert answer["scope"] == "read:metrics"
    # A token that was issued before does not keep it either.
    assert story.introspect(tokens["access_token"]).json()["scope"] == "read:metrics"


def test_d10_person_when_active_again_then_what_was_not_revoked_works_again(story, world):
    tokens = story.tokens()
    _deactivate(world)
    refused(story.refresh(tokens["refresh_token"]), "invalid_grant")
    world.alice.is_active = True
    world.alice.save()
    assert story.refresh(tokens["refresh_token"]).status_code == 200


def test_d14_scope_when_widened_then_refused_when_left_out_then_the_same(story):
    tokens = story.tokens()
    with refusal_recorded("invalid_scope"):
        refused(
            story.refresh(tokens["refresh_token"], scope=f"{tokens['scope']} read:profile"),
            "invalid_scope",
        )
    narrow = story.refresh(tokens["refresh_token"], scope="write:alerts").json()
    assert claims_of(narrow["access_token"])["scope"] == "write:alerts"
    # A narrow access token does not open a way back to less than the refresh token has, or more.
    same = story.refresh(narrow["refresh_token"]).json()
    assert same["scope"] == tokens["scope"]
    with refusal_recorded("invalid_scope"):
        refused(story.refresh(same["refresh_token"], scope="read:profile"), "invalid_scope")


def test_d16_answer_when_it_was_lost_then_the_retry_gets_the_same_successor(story, clock):
    tokens = story.tokens()
    lost = story.refresh(tokens["refresh_token"]).json()
    clock.forward(seconds=9)
    again = story.refresh(tokens["refresh_token"]).json()
    assert again["refresh_token"] == lost["refresh_token"]
    assert story.refresh(again["refresh_token"]).status_code == 200


def test_d17_revocation_when_the_token_is_unknown_expired_or_malformed_then_answers_are_the_same(
    story, clock
):
    tokens = story.tokens()
    expired = tokens["access_token"]
    clock.forward(minutes=11)
    answers = [story.revoke(text) for text in (expired, "unknown", "a.b.c", "a" * 43, "{}", "é")]
    assert len({(answer.status_code, answer.content) for answer in answers}) == 1
    headers = [
        {name: value for name, value in answer.items() if name != "X-Request-Id"}
        for answer in answers
    ]
    assert all(each == headers[0] for each in headers)
    assert answers[0].status_code == 200


def test_d17_foreign_tokens_when_presented_then_all_kinds_look_the_same(story, world):
    tokens = story.tokens()
    dead = story.tokens()
    story.revoke(dead["refresh_token"])
    texts = (tokens["access_token"], tokens["refresh_token"], dead["refresh_token"])
    with nothing_stored():
        answers = {story.revoke(text, world.other).content for text in texts}
        errors = {story.refresh(text, world.other).content for text in (*texts, "unknown")}
    assert len(answers) == len(errors) == 1
