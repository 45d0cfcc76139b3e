"""The consent page says what comes back, of the app and of the services behind it."""

import pytest

from delegation_app.models import ConsentRecord
from delegation_app.protocol import names
from delegation_app.protocol.audience import Audience
from delegation_app.protocol.claims import user_subject
from delegation_app.protocol.scope import Scope
from delegation_app.services import audit
from delegation_app.services.connections import actions
from delegation_app.services.consent import approval as consents
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
def test_page_when_more_is_taken_after_it_was_shown(story, take):
    one, two = story.tokens(), story.tokens(prompt="consent")
    take(story, delegation_of(one))
    page = story.authorize(prompt="consent")
    take(story, delegation_of(two))

    again = story.answer(page)

    assert again.status_code == 400
    assert "has changed just now" in again.content.decode()
    assert ConsentRecord.objects.count() == 2
    assert is_silent(story.answer(again))


def test_page_when_a_service_loses_more_after_it_was_shown(story):
    child = story.exchange(story.tokens()["access_token"]).json()
    revoked(story, delegation_of(child))
    page = story.authorize(prompt="consent")
    actions.end_all(story.world.alice, as_alice(story), reason="", client_id="service-a")

    assert story.answer(page).status_code == 400


def test_device_page_when_more_is_taken_after_it_was_shown(story):
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


def test_page_when_more_was_taken_than_it_lists(story, clock):
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
def test_page_when_all_of_a_service_was_taken(story, world, take):
    story.exchange(story.tokens()["access_token"])
    take(world, as_alice(story))

    page = story.authorize(prompt="consent")
    assert says(page)
    tokens = allowed(story, page)

    assert story.exchange(tokens["access_token"]).status_code == 200
    # It is said once
    assert not says(story.authorize(prompt="consent"))


def test_service_when_an_answer_elsewhere_came_first(story, world):
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


def test_service_when_it_comes_within_reach_after_the_page(story, world):
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


def test_service_when_it_came_back_for_one_app(story, world):
    child = story.exchange(story.tokens()["access_token"]).json()
    actions.end(delegation_of(child), as_alice(story), reason="")
    story.answer(story.authorize(prompt="consent"))

    page = story.authorize(world.other)

    assert says(page)
    code = redirected(story.answer(page))["code"]
    tokens = story.redeem(code, world.other).json()
    assert story.exchange(tokens["access_token"]).status_code == 200


def test_page_when_another_client_may_act_with_its_tokens(story, world):
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


def test_page_when_a_service_names_who_may_act(story, world):
    # A passes on to B only; who may act with the tokens of A speaks for no service in reach
    world.service_b_client.change(grants=["client_credentials"])
    world.service_a_client.change(may_act="service-c")
    world.service_c_client.policy.audiences.set([world.service_c])

    html = " ".join(story.authorize(resource=SERVICE_A).content.decode().split())

    assert "<bdi>Service C</bdi>" in html


# Boxes that are unticked


def test_box_when_it_was_allowed_before_and_is_unticked(story):
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


def test_page_when_it_is_denied(story):
    tokens = story.tokens()
    story.answer(story.authorize(prompt="consent"), decision="deny")

    assert not is_silent(story.authorize(prompt="none"))
    # What the app has stays as it is
    assert story.refresh(tokens["refresh_token"]).status_code == 200


@pytest.fixture
def trusting(story):
    story.world.web.row.skip_authorization = True
    story.world.web.row.save()
    return story


def test_trusted_client_when_its_page_is_denied(trusting, clock):
    trusting.answer(trusting.authorize(prompt="consent"), decision="deny")

    assert not is_silent(trusting.authorize(prompt="none"))
    # A no does not run out
    clock.forward(days=400)
    trusting.browser.force_login(trusting.world.alice)
    assert not is_silent(trusting.authorize(prompt="none"))


# What a yes gives back of the services behind the app: what was ticked, where its page reached
def test_service_when_a_scope_of_it_was_unticked(story):
    child = story.exchange(story.tokens()["access_token"]).json()
    narrowed(story, delegation_of(child))
    page = story.authorize(prompt="consent")
    assert says(page)
    story.answer(page, scopes=[READ])

    page = story.authorize(scope=WRITE, prompt="consent")

    assert says(page)
    child = story.exchange(allowed(story, page)["access_token"])
    assert child.json()["scope"] == WRITE


@pytest.mark.parametrize("take", [actions.end, everything_ended])
def test_service_when_a_page_reached_one_of_its_places(story, world, take):
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


def test_service_when_the_yes_that_gave_it_back_is_withdrawn(story):
    child = story.exchange(story.tokens()["access_token"]).json()
    actions.end(delegation_of(child), as_alice(story), reason="")
    tokens = story.tokens(prompt="consent")
    consents.withdraw(delegation_of(tokens).consent, as_alice(story), reason="no after all")

    page = story.authorize(prompt="consent")

    assert says(page)
    assert story.exchange(allowed(story, page)["access_token"]).status_code == 200


def test_service_when_the_yes_that_gave_it_back_has_run_out(story, clock):
    child = story.exchange(story.tokens()["access_token"]).json()
    actions.end(delegation_of(child), as_alice(story), reason="")
    page = story.authorize(prompt="consent")
    assert says(page)
    story.answer(page, lifetime="3600")
    assert not says(story.authorize(prompt="consent"))

    clock.forward(hours=2)
    story.browser.force_login(story.world.alice)

    assert says(story.authorize(prompt="consent"))


def test_app_when_a_page_is_about_another_place(story, world):
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


def test_service_when_a_record_does_not_say_how_far_its_page_reached(story):
    child = story.exchange(story.tokens()["access_token"]).json()
    actions.end(delegation_of(child), as_alice(story), reason="")
    page = story.authorize(resource=SERVICE_A, prompt="consent")
    assert says(page)
    story.answer(page)
    record = ConsentRecord.objects.latest("pk")
    del record.shown["reach"]
    record.save()

    assert says(story.authorize(resource=SERVICE_A, prompt="consent"))
