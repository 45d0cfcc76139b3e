"""What a yes gives back of the services behind the app: what was ticked, where its page reached."""

import pytest

from delegation_app.models import ConsentRecord
from delegation_app.protocol import names
from delegation_app.protocol.audience import Audience
from delegation_app.services.connections import actions
from delegation_app.services.consent import approval
from delegation_app.services.delegations import creation
from delegation_app.services.delegations.narrowing import Narrowing
from tests.flows.test_page_and_blocks import (
    READ,
    WRITE,
    allowed,
    app_ended,
    as_alice,
    client_revoked,
    everything_ended,
    narrowed,
    pair_revoked,
    says,
)
from tests.support.world import SERVICE_A, SERVICE_B, SERVICE_C, delegation_of, redirected


def test_service_when_a_scope_of_it_was_unticked_then_that_scope_does_not_come_back(story):
    child = story.exchange(story.tokens()["access_token"]).json()
    narrowed(story, delegation_of(child))
    page = story.authorize(prompt="consent")
    assert says(page)
    story.answer(page, scopes=[READ])

    page = story.authorize(scope=WRITE, prompt="consent")

    assert says(page)
    child = story.exchange(allowed(story, page)["access_token"])
    assert child.json()["scope"] == WRITE


def test_service_when_another_scope_came_back_then_the_page_says_so_for_the_rest(story):
    child = story.exchange(story.tokens()["access_token"]).json()
    actions.end(delegation_of(child), as_alice(story), reason="")
    tokens = story.tokens(prompt="consent", scope=READ)
    assert story.exchange(tokens["access_token"]).json()["scope"] == READ

    page = story.authorize(scope=WRITE, prompt="consent")

    assert says(page)
    assert story.exchange(allowed(story, page)["access_token"]).json()["scope"] == WRITE
    assert not says(story.authorize(prompt="consent"))


@pytest.mark.parametrize("take", [app_ended, everything_ended, pair_revoked, client_revoked])
def test_service_when_all_of_it_was_taken_then_only_what_was_ticked_comes_back(story, world, take):
    story.exchange(story.tokens()["access_token"])
    take(world, as_alice(story))
    page = story.authorize(prompt="consent")
    assert says(page)

    ticked = story.redeem(redirected(story.answer(page, scopes=[READ]))["code"]).json()

    assert story.exchange(ticked["access_token"]).json()["scope"] == READ
    page = story.authorize(scope=WRITE, prompt="consent")
    assert says(page)
    assert story.exchange(allowed(story, page)["access_token"]).json()["scope"] == WRITE


@pytest.mark.parametrize("take", [actions.end, everything_ended])
def test_service_when_a_page_reached_one_of_its_places_then_only_that_one_comes_back(
    story, world, take
):
    # Nothing else leads to C
    world.service_b_client.change(grants=["client_credentials"])
    places = world.service_a_client.policy.audiences
    places.set([world.service_b, world.service_c])
    first = story.tokens()["access_token"]
    child = story.exchange(first, audience=[SERVICE_B, SERVICE_C]).json()
    if take is actions.end:
        actions.end(delegation_of(child), as_alice(story), reason="")
    else:
        take(world, as_alice(story))
    places.set([world.service_b])
    page = story.authorize(resource=SERVICE_A, prompt="consent")
    assert says(page)
    tokens = allowed(story, page)

    places.set([world.service_b, world.service_c])

    there = story.exchange(tokens["access_token"], audience=SERVICE_B)
    assert there.status_code == 200
    elsewhere = story.exchange(tokens["access_token"], audience=SERVICE_C)
    assert elsewhere.json()["error"] == "invalid_target"
    page = story.authorize(resource=SERVICE_A, prompt="consent")
    assert says(page)
    new = allowed(story, page)["access_token"]
    assert story.exchange(new, audience=SERVICE_C).status_code == 200


def test_service_when_the_yes_that_gave_it_back_is_withdrawn_then_it_is_gone_again(story):
    child = story.exchange(story.tokens()["access_token"]).json()
    actions.end(delegation_of(child), as_alice(story), reason="")
    tokens = story.tokens(prompt="consent")
    approval.withdraw(delegation_of(tokens).consent, as_alice(story), reason="no after all")

    page = story.authorize(prompt="consent")

    assert says(page)
    assert story.exchange(allowed(story, page)["access_token"]).status_code == 200


def test_service_when_the_yes_that_gave_it_back_has_run_out_then_the_page_says_so(story, clock):
    child = story.exchange(story.tokens()["access_token"]).json()
    actions.end(delegation_of(child), as_alice(story), reason="")
    page = story.authorize(prompt="consent")
    assert says(page)
    story.answer(page, lifetime="3600")
    assert not says(story.authorize(prompt="consent"))

    clock.forward(hours=2)
    story.browser.force_login(story.world.alice)

    assert says(story.authorize(prompt="consent"))


def test_app_when_a_page_is_about_another_place_then_no_service_gives_it_what_it_lost(story, world):
    web = world.web
    web.policy.audiences.add(world.service_c)
    web.change(grants=[*web.policy.grants, names.TOKEN_EXCHANGE])
    world.service_b.introspectors.add(web.row)

    def by_way_of_a(tokens):
        there = story.exchange(tokens["access_token"]).json()
        return story.exchange(there["access_token"], web, audience=SERVICE_C)

    tokens = story.tokens(resource=[SERVICE_A, SERVICE_C])
    to_a = Narrowing(audience=Audience([SERVICE_A]))
    creation.narrow(delegation_of(tokens), to_a, as_alice(story), reason="x")
    page = story.authorize(resource=SERVICE_A, prompt="consent")
    assert "comes back" not in page.content.decode()

    assert by_way_of_a(allowed(story, page)).json()["error"] == "invalid_target"
    page = story.authorize(resource=[SERVICE_A, SERVICE_C], prompt="consent")
    assert "comes back" in page.content.decode()
    assert by_way_of_a(allowed(story, page)).status_code == 200


def test_service_when_a_record_does_not_say_how_far_its_page_reached_then_only_its_audience_counts(
    story,
):
    child = story.exchange(story.tokens()["access_token"]).json()
    actions.end(delegation_of(child), as_alice(story), reason="")
    page = story.authorize(resource=SERVICE_A, prompt="consent")
    assert says(page)
    story.answer(page)
    record = ConsentRecord.objects.latest("pk")
    del record.shown["reach"]
    record.save()

    assert says(story.authorize(resource=SERVICE_A, prompt="consent"))
