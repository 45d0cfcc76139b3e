"""Blocks in the console: what binds, what was allowed again, and what remains after a lift."""

import pytest

from delegation_app.models import DelegationBlock
from delegation_app.protocol.scope import Scope
from delegation_app.services import audit
from delegation_app.services.delegations import creation, revocation
from delegation_app.services.delegations.narrowing import Narrowing
from tests.admin.conftest import page, text_of
from tests.support.world import delegation_of, redirected

READ = "read:metrics"
OPERATOR = audit.RequestContext(actor="user:99")
BLOCKED = "Blocked for this user and client"
AGAIN = "Previously blocked, allowed again since"


def revoked(row):
    revocation.subtree(row, OPERATOR, reason="x")


def page_of(operator, row):
    return text_of(operator.get(page("delegation", "change", row.pk)))


def listed(operator, state):
    response = operator.get(page("delegationblock", "changelist"), {"lifted": state})
    return list(response.context["cl"].queryset.order_by("pk"))


def test_block_when_the_user_has_allowed_it_again_then_it_is_marked_and_not_active(story, operator):
    row = delegation_of(story.tokens())
    revoked(row)
    assert BLOCKED in page_of(operator, row)
    assert listed(operator, "no") == list(DelegationBlock.objects.all())

    story.tokens()

    html = page_of(operator, row)
    assert BLOCKED not in html
    assert AGAIN in html
    assert "Allowed again on" in html
    block = DelegationBlock.objects.get()
    assert (listed(operator, "no"), listed(operator, "again")) == ([], [block])
    assert "Allowed again on" in text_of(operator.get(page("delegationblock", "changelist")))
    own = text_of(operator.get(page("delegationblock", "change", block.pk)))
    assert "Allowed again on" in own
    assert "This holds until the user allows it again" not in own


def test_block_when_only_a_part_is_allowed_again_then_it_is_active(story, operator):
    row = delegation_of(story.tokens())
    revoked(row)

    story.tokens(scope=READ)

    assert BLOCKED in page_of(operator, row)
    assert len(listed(operator, "no")) == 1
    # The rest comes with another answer
    story.tokens(scope="write:alerts")
    assert BLOCKED not in page_of(operator, row)
    assert listed(operator, "no") == []


@pytest.mark.parametrize("scopes", [None, [READ]])
def test_block_of_everything_when_the_user_left_something_out_then_it_is_active(
    story, operator, scopes
):
    row = delegation_of(story.tokens())
    revocation.of_user_at_client(story.world.alice, story.world.web.row, OPERATOR, reason="x")

    story.tokens(scopes=scopes)

    assert (BLOCKED in page_of(operator, row)) == (scopes is not None)
    assert len(listed(operator, "no")) == (scopes is not None)


def test_block_of_the_client_when_one_user_allows_again_then_it_binds_others(story, operator):
    row = delegation_of(story.tokens())
    revocation.of_client(story.world.web.row, OPERATOR, reason="x")

    story.tokens()

    assert AGAIN in page_of(operator, row)
    assert len(listed(operator, "no")) == 1


def test_block_when_the_later_consent_has_ended_then_it_is_active(story, operator, clock):
    row = delegation_of(story.tokens())
    revoked(row)
    clock.forward(seconds=1)
    story.answer(story.authorize(), lifetime="3600")
    assert listed(operator, "no") == []

    clock.forward(seconds=3601)

    assert len(listed(operator, "no")) == 1


def test_child_when_a_page_of_the_app_gave_it_back_then_its_page_says_so(story, operator):
    lost = delegation_of(story.exchange(story.tokens()["access_token"]).json())
    revoked(lost)
    code = redirected(story.answer(story.authorize(prompt="consent")))["code"]
    token = story.redeem(code).json()["access_token"]

    new = delegation_of(story.exchange(token).json())

    assert BLOCKED in page_of(operator, lost)
    assert AGAIN in page_of(operator, new)
    # It binds what other apps pass on
    assert len(listed(operator, "no")) == 1


def test_lift_when_other_blocks_of_the_pair_remain_then_it_links_to_them(story, operator):
    story.client_credentials()
    row = delegation_of(story.client_credentials().json())
    creation.narrow(row, Narrowing(scope=Scope([READ])), OPERATOR, reason="x")
    revoked(row)
    first, second = DelegationBlock.objects.order_by("pk")
    lift = page("delegationblock", "lift", first.pk)

    asked = text_of(operator.get(lift))
    assert "Further blocks of the pair remain." in asked
    assert page("delegationblock", "change", second.pk) in asked
    assert "can be obtained again, by the next request" not in asked

    operator.post(page("delegationblock", "lift", second.pk), {"reason": "mended"})
    asked = text_of(operator.get(lift))
    assert "remain" not in asked
    assert "can be obtained again, by the next request" in asked


def test_lift_when_the_other_block_was_allowed_again_then_it_does_not_remain(
    story, operator, clock
):
    one = delegation_of(story.tokens())
    revoked(one)
    clock.forward(seconds=1)
    two = delegation_of(story.tokens())
    clock.forward(seconds=1)
    revoked(two)

    lift = page("delegationblock", "lift", DelegationBlock.objects.latest("pk").pk)

    assert "remain." not in text_of(operator.get(lift))
