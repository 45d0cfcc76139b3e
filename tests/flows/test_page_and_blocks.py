"""The consent page says what comes back, and nothing else comes back."""

import pytest

from delegation_app.models import ConsentRecord, DelegationBlock
from delegation_app.protocol import names
from delegation_app.protocol.claims import user_subject
from delegation_app.protocol.scope import Scope
from delegation_app.services import audit
from delegation_app.services.connections import actions
from delegation_app.services.delegations import creation, revocation
from delegation_app.services.delegations.narrowing import Narrowing
from tests.support.world import SERVICE_A, SERVICE_B, SERVICE_C, delegation_of, redirected

OPERATOR = audit.RequestContext(actor="user:99")
READ, WRITE, BOTH = "read:metrics", "write:alerts", "read:metrics write:alerts"
RETURNS = "could not act for you"


def as_alice(story):
    return audit.RequestContext(actor=user_subject(story.world.alice.pk))


def is_silent(response):
    """Whether the app gets a code without a page."""
    return response.status_code == 303 and "code" in redirected(response)


def says(page):
    return RETURNS in page.content.decode()


def allowed(story, page):
    """The tokens that a yes on a page gives."""
    return story.redeem(redirected(story.answer(page))["code"]).json()


def revoked(_story, row):
    revocation.subtree(row, OPERATOR, reason="x")


def narrowed(story, row):
    creation.narrow(row, Narrowing(scope=Scope([READ])), as_alice(story), reason="x")


def all_of_the_app_ended(story, _row):
    actions.end_all(story.world.alice, as_alice(story), reason="", client_id="web")


# A page that was shown before something was taken


@pytest.mark.parametrize("take", [revoked, narrowed, all_of_the_app_ended])
def test_page_when_more_is_taken_after_it_was_shown_then_the_user_is_asked_again(story, take):
    one, two = story.tokens(), story.tokens(prompt="consent")
    take(story, delegation_of(one))
    page = story.authorize(prompt="consent")
    take(story, delegation_of(two))

    again = story.answer(page)

    assert again.status_code == 400
    assert "has changed just now" in again.content.decode()
    assert ConsentRecord.objects.count() == 2
    assert is_silent(story.answer(again))


def test_page_when_a_service_loses_more_after_it_was_shown_then_the_user_is_asked_again(story):
    child = story.exchange(story.tokens()["access_token"]).json()
    revoked(story, delegation_of(child))
    page = story.authorize(prompt="consent")
    actions.end_all(story.world.alice, as_alice(story), reason="", client_id="service-a")

    assert story.answer(page).status_code == 400


def test_device_page_when_more_is_taken_after_it_was_shown_then_the_user_is_asked_again(story):
    one, two = (story.poll(story.approved(scope=READ)).json() for _ in range(2))
    revoked(story, delegation_of(one))
    started = story.start(scope=READ).json()
    page = story.enter(started["user_code"])
    revoked(story, delegation_of(two))

    again = story.connect(page)

    assert again.status_code == 400
    assert story.poll(started["device_code"]).json()["error"] == "authorization_pending"
    story.connect(again)
    assert story.poll(started["device_code"]).status_code == 200


def test_page_when_more_was_taken_than_it_lists_then_it_says_that_more_comes_back(story, clock):
    rows = [delegation_of(story.tokens(prompt="consent")) for _ in range(12)]
    for row in rows:
        revoked(story, row)
        clock.forward(days=1)
    story.browser.force_login(story.world.alice)

    html = story.authorize(prompt="consent").content.decode()

    assert html.count("This was taken from") <= 10
    assert "More was taken from" in html


# What was taken from the services behind the app


def app_ended(world, origin):
    actions.end_all(world.alice, origin, reason="", client_id="service-a")


def everything_ended(world, origin):
    actions.end_all(world.alice, origin, reason="")


def pair_revoked(world, _origin):
    revocation.of_user_at_client(world.alice, world.service_a_client.row, OPERATOR, reason="x")


def client_revoked(world, _origin):
    revocation.of_client(world.service_a_client.row, OPERATOR, reason="x")


@pytest.mark.parametrize("take", [app_ended, everything_ended, pair_revoked, client_revoked])
def test_page_when_all_of_a_service_was_taken_then_it_says_that_it_comes_back(story, world, take):
    story.exchange(story.tokens()["access_token"])
    take(world, as_alice(story))

    page = story.authorize(prompt="consent")
    assert says(page)
    tokens = allowed(story, page)

    assert story.exchange(tokens["access_token"]).status_code == 200
    # It is said once
    assert not says(story.authorize(prompt="consent"))


def test_service_when_an_answer_elsewhere_came_first_then_the_page_about_it_still_says_so(
    story, world
):
    world.web.policy.audiences.add(world.service_c)
    world.service_c_client.change(grants=["client_credentials"])
    child = story.exchange(story.tokens()["access_token"]).json()
    actions.end(delegation_of(child), as_alice(story), reason="")
    elsewhere = story.authorize(resource=SERVICE_C, scope=READ)
    assert not says(elsewhere)
    assert is_silent(story.answer(elsewhere))

    page = story.authorize(prompt="consent")

    assert says(page)
    assert story.exchange(allowed(story, page)["access_token"]).status_code == 200


def test_service_when_it_comes_within_reach_after_the_page_then_it_does_not_come_back(story, world):
    child = story.exchange(story.tokens()["access_token"]).json()
    actions.end(delegation_of(child), as_alice(story), reason="")
    grants = world.service_a_client.policy.grants
    world.service_a_client.change(grants=["client_credentials"])
    page = story.authorize(prompt="consent")
    assert not says(page)
    tokens = allowed(story, page)

    world.service_a_client.change(grants=grants)

    assert story.exchange(tokens["access_token"]).json()["error"] == "invalid_target"
    page = story.authorize(prompt="consent")
    assert says(page)
    # What was opened before the page said so is still without it
    new = allowed(story, page)
    assert story.exchange(new["access_token"]).status_code == 200
    assert story.exchange(tokens["access_token"]).json()["error"] == "invalid_target"


def test_service_when_its_return_was_denied_then_it_does_not_come_back(story):
    child = story.exchange(story.tokens()["access_token"]).json()
    actions.end(delegation_of(child), as_alice(story), reason="")
    page = story.authorize(prompt="consent")
    assert says(page)
    story.answer(page, decision="deny")

    assert says(story.authorize(prompt="consent"))


def test_service_when_taken_again_after_it_came_back_then_the_next_page_says_so(story):
    for _ in range(2):
        page = story.authorize(prompt="consent")
        child = story.exchange(allowed(story, page)["access_token"])
        assert child.status_code == 200
        actions.end(delegation_of(child.json()), as_alice(story), reason="")
    assert says(story.authorize(prompt="consent"))


def test_service_when_it_came_back_for_one_app_then_another_app_has_to_say_it_too(story, world):
    child = story.exchange(story.tokens()["access_token"]).json()
    actions.end(delegation_of(child), as_alice(story), reason="")
    story.answer(story.authorize(prompt="consent"))

    page = story.authorize(world.other)

    assert says(page)
    code = redirected(story.answer(page))["code"]
    tokens = story.redeem(code, world.other).json()
    assert story.exchange(tokens["access_token"]).status_code == 200


def test_page_when_another_client_may_act_with_its_tokens_then_its_reach_is_named(story, world):
    world.service_a_client.change(grants=["client_credentials"])
    world.web.change(may_act="service-c")
    world.service_c_client.policy.audiences.set([world.service_b])
    page = story.authorize(resource=SERVICE_A)
    html = " ".join(page.content.decode().split())
    assert "May be passed on to</dt> <dd><bdi>Service B</bdi>" in html
    tokens = allowed(story, page)
    service_c = world.service_c_client
    child = story.exchange(tokens["access_token"], service_c, audience=SERVICE_B).json()
    actions.end(delegation_of(child), as_alice(story), reason="")

    refused = story.exchange(tokens["access_token"], service_c, audience=SERVICE_B)
    assert refused.json()["error"] == "invalid_target"
    page = story.authorize(resource=SERVICE_A, prompt="consent")
    assert says(page)
    tokens = allowed(story, page)
    back = story.exchange(tokens["access_token"], service_c, audience=SERVICE_B)
    assert back.status_code == 200


def test_page_when_a_service_names_who_may_act_then_that_reach_is_named_too(story, world):
    # A passes on to B only; who may act with the tokens of A speaks for no service in reach
    world.service_b_client.change(grants=["client_credentials"])
    world.service_a_client.change(may_act="service-c")
    world.service_c_client.policy.audiences.set([world.service_c])

    html = " ".join(story.authorize(resource=SERVICE_A).content.decode().split())

    assert "<bdi>Service C</bdi>" in html


# Boxes that are unticked


def test_box_when_it_was_allowed_before_and_is_unticked_then_it_does_not_return_silently(story):
    story.tokens()
    page = story.authorize(prompt="consent")
    assert "allowed before" in page.content.decode()
    assert "stays as it is until you end it" in page.content.decode()
    story.answer(page, scopes=[READ])

    for scope in (BOTH, WRITE):
        assert redirected(story.authorize(scope=scope, prompt="none"))["error"] == (
            "consent_required"
        )
    assert is_silent(story.authorize(scope=READ, prompt="none"))
    # Until it is ticked again
    assert is_silent(story.answer(story.authorize()))
    assert is_silent(story.authorize(prompt="none"))


def test_box_when_it_is_unticked_at_one_place_then_another_place_is_not_concerned(story):
    story.tokens(resource=SERVICE_A)
    story.tokens(resource=SERVICE_B)
    story.answer(story.authorize(resource=SERVICE_A, prompt="consent"), scopes=[READ])

    assert is_silent(story.authorize(resource=SERVICE_B, prompt="none"))
    assert not is_silent(story.authorize(resource=SERVICE_A, prompt="none"))


def test_box_when_it_is_unticked_for_two_places_then_neither_returns_silently(story):
    story.tokens(resource=[SERVICE_A, SERVICE_B])
    story.answer(story.authorize(resource=SERVICE_A, prompt="consent"), scopes=[READ])

    assert not is_silent(story.authorize(resource=[SERVICE_A, SERVICE_B], prompt="none"))


def test_page_when_it_is_denied_then_the_next_request_asks_again(story):
    tokens = story.tokens()
    story.answer(story.authorize(prompt="consent"), decision="deny")

    assert not is_silent(story.authorize(prompt="none"))
    # What the app has stays as it is
    assert story.refresh(tokens["refresh_token"]).status_code == 200


def test_page_when_more_is_denied_then_what_was_not_asked_about_goes_on(story):
    story.tokens(scope=READ)
    story.answer(story.authorize(), decision="deny")

    assert is_silent(story.authorize(scope=READ, prompt="none"))


@pytest.fixture
def trusting(story):
    story.world.web.row.skip_authorization = True
    story.world.web.row.save()
    return story


def test_trusted_client_when_a_box_is_unticked_then_it_does_not_return_silently(trusting):
    trusting.answer(trusting.authorize(prompt="consent"), scopes=[READ])

    assert not is_silent(trusting.authorize(prompt="none"))
    assert is_silent(trusting.authorize(scope=READ, prompt="none"))
    assert is_silent(trusting.answer(trusting.authorize()))
    assert is_silent(trusting.authorize(prompt="none"))


def test_trusted_client_when_its_page_is_denied_then_the_next_request_asks(trusting, clock):
    trusting.answer(trusting.authorize(prompt="consent"), decision="deny")

    assert not is_silent(trusting.authorize(prompt="none"))
    # A no does not run out
    clock.forward(days=400)
    trusting.browser.force_login(trusting.world.alice)
    assert not is_silent(trusting.authorize(prompt="none"))


def test_device_when_its_page_is_denied_then_the_app_in_a_browser_is_not_concerned(story, world):
    grants = [*world.web.policy.grants, names.DEVICE_CODE]
    world.web.change(grants=grants)
    story.tokens()
    started = story.start(world.web).json()
    story.connect(story.enter(started["user_code"]), decision="deny")

    assert is_silent(story.authorize(prompt="none"))


def test_trusted_client_when_a_device_is_denied_then_its_next_request_in_a_browser_asks(
    trusting, world
):
    world.web.change(grants=[*world.web.policy.grants, names.DEVICE_CODE])
    started = trusting.start(world.web).json()
    trusting.connect(trusting.enter(started["user_code"]), decision="deny")

    assert not is_silent(trusting.authorize(prompt="none"))
    # What is allowed on another device grants nothing here
    again = trusting.start(world.web).json()
    trusting.connect(trusting.enter(again["user_code"]))
    assert not is_silent(trusting.authorize(prompt="none"))
    assert is_silent(trusting.answer(trusting.authorize()))
    assert is_silent(trusting.authorize(prompt="none"))


def test_trusted_client_when_a_box_is_unticked_on_a_device_then_the_rest_goes_on(trusting, world):
    world.web.change(grants=[*world.web.policy.grants, names.DEVICE_CODE])
    started = trusting.start(world.web).json()
    trusting.connect(trusting.enter(started["user_code"]), scopes=[READ])

    assert not is_silent(trusting.authorize(scope=WRITE, prompt="none"))
    assert is_silent(trusting.authorize(scope=READ, prompt="none"))


def test_device_when_a_box_is_unticked_then_its_next_page_says_nothing_of_it(story):
    story.poll(story.approved(scope=BOTH))
    story.poll(story.approved(scope=BOTH, scopes=[READ]))

    # A device is asked about each time
    assert not DelegationBlock.objects.exists()
    assert "allowed before" not in story.enter(story.start().json()["user_code"]).content.decode()
