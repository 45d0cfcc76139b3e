"""What is taken from a pair, or from an audience, is taken from what others were given by it."""

from datetime import timedelta

import pytest

from delegation_app import clock as app_clock
from delegation_app.models import AuditEvent, Delegation, DelegationBlock
from delegation_app.protocol import names
from delegation_app.protocol.audience import Audience
from delegation_app.protocol.claims import user_subject
from delegation_app.protocol.scope import Scope
from delegation_app.services import audit
from delegation_app.services.connections import actions
from delegation_app.services.delegations import blocks, creation, revocation
from delegation_app.services.delegations.narrowing import Narrowing
from delegation_app.services.reporting.as_of_history import History
from tests.support.chains import Chain, handed_on
from tests.support.world import SERVICE_A, SERVICE_B, SERVICE_C, claims_of, delegation_of

OPERATOR = audit.RequestContext(actor="user:99")
READ, WRITE, BOTH = "read:metrics", "write:alerts", "read:metrics write:alerts"
RENEWABLE = [names.CLIENT_CREDENTIALS, names.REFRESH_TOKEN, names.TOKEN_EXCHANGE]


def revoked(answer):
    revocation.subtree(delegation_of(answer), OPERATOR, reason="x")


def narrowed(answer, **to):
    creation.narrow(delegation_of(answer), Narrowing(**to), OPERATOR, reason="enough")


@pytest.fixture(autouse=True)
def renewable(world):
    for service in (world.service_a_client, world.service_b_client):
        service.change(may_refresh_exchanged_tokens=True, grants=RENEWABLE)


@pytest.fixture
def trusted(world):
    world.web.row.skip_authorization = True
    world.web.row.save()


# What others hold through the other records of a pair that no page opened


@pytest.mark.consequence(
    13,
    "something is taken from a client that holds several delegations without a page, or by "
    "exchange",
    "no other client can exchange or refresh what it was given through the other ones either",
)
def test_cron_when_one_record_is_revoked_then_no_service_goes_on_with_another(story, world):
    one, two = (story.client_credentials(scope=scope).json() for scope in (READ, BOTH))
    child = story.exchange(two["access_token"]).json()
    revoked(one)

    assert story.exchange(two["access_token"]).json()["error"] == "invalid_request"
    again = story.refresh(child["refresh_token"], world.service_a_client)
    assert again.json()["error"] == "invalid_grant"

    # Neither was used up
    blocks.lift(DelegationBlock.objects.get(), OPERATOR, reason="mended")
    assert story.exchange(two["access_token"]).json()["scope"] == BOTH
    assert story.refresh(child["refresh_token"], world.service_a_client).json()["scope"] == BOTH


def test_cron_when_one_record_is_narrowed_then_a_service_gets_what_is_left_of_another(story, world):
    one, two = (
        story.client_credentials(scope=scope).json() for scope in (BOTH, WRITE + " " + READ)
    )
    other = story.client_credentials(scope=WRITE).json()
    child = story.exchange(two["access_token"]).json()
    narrowed(one, scope=Scope([READ]))

    assert story.refresh(child["refresh_token"], world.service_a_client).json()["scope"] == READ
    assert story.exchange(two["access_token"]).json()["scope"] == READ
    assert story.exchange(other["access_token"]).json()["error"] == "invalid_request"


def test_trusted_app_when_one_of_two_is_ended_then_a_service_cannot_go_on_with_the_other(
    story, world, trusted
):
    one, two = story.tokens(scope=BOTH), story.tokens(scope=BOTH)
    child = story.exchange(two["access_token"]).json()
    actor = audit.RequestContext(actor=user_subject(world.alice.pk))
    actions.end(delegation_of(one), actor, reason="")

    assert story.exchange(two["access_token"]).json()["error"] == "invalid_request"
    again = story.refresh(child["refresh_token"], world.service_a_client)
    assert again.json()["error"] == "invalid_grant"


def test_trusted_app_when_a_scope_is_taken_from_one_then_a_new_child_of_the_other_is_cut(
    story, world, trusted
):
    one, two = story.tokens(scope=BOTH), story.tokens(scope=BOTH)
    narrowed(one, scope=Scope([READ]))

    child = story.exchange(two["access_token"])

    assert (child.status_code, child.json()["scope"]) == (200, READ)
    assert (
        story.refresh(child.json()["refresh_token"], world.service_a_client).json()["scope"] == READ
    )
    assert story.exchange(two["access_token"], scope=WRITE).json()["error"] == "invalid_scope"
    # The delegation above is cut for good, as if its own client had used it
    assert delegation_of(two).scopes == Scope([READ])
    event = AuditEvent.objects.filter(event="delegation.narrowed").latest("id")
    assert event.details["blocks"] == [str(DelegationBlock.objects.get().public_id)]


def test_trusted_app_when_an_audience_is_taken_then_who_stands_there_cannot_exchange_any_more(
    story, world, trusted
):
    both = {"scope": READ, "resource": [SERVICE_A, SERVICE_B]}
    one, two = story.tokens(**both), story.tokens(**both)
    narrowed(one, audience=Audience([SERVICE_A]))

    refused = story.exchange(two["access_token"], world.service_b_client, audience=SERVICE_C)

    assert refused.json()["error"] == "invalid_request"
    assert story.exchange(two["access_token"]).status_code == 200


def test_trusted_app_when_its_end_is_brought_forward_then_a_child_of_the_other_ends_with_it(
    story, world, trusted
):
    one, two = story.tokens(scope=READ), story.tokens(scope=READ)
    ends = app_clock.now() + timedelta(seconds=90)
    narrowed(one, expires_at=ends)

    child = story.exchange(two["access_token"]).json()

    assert delegation_of(child).expires_at == ends


def test_app_when_one_of_two_that_pages_opened_is_ended_then_services_go_on_with_the_other(
    story, world
):
    one, two = story.tokens(scope=READ), story.tokens(scope=READ, prompt="consent")
    child = story.exchange(two["access_token"]).json()
    revoked(one)

    assert story.exchange(two["access_token"]).status_code == 200
    assert story.refresh(child["refresh_token"], world.service_a_client).status_code == 200


def test_service_when_one_of_its_children_is_revoked_then_no_other_goes_on_with_the_next(
    story, world
):
    subject = story.tokens(scope=BOTH)["access_token"]
    one, two = (story.exchange(subject, scope=scope).json() for scope in (BOTH, READ))
    onward = {"audience": SERVICE_C}
    below = story.exchange(two["access_token"], world.service_b_client, **onward).json()
    revoked(one)

    refused = story.exchange(two["access_token"], world.service_b_client, **onward)
    assert refused.json()["error"] == "invalid_request"
    again = story.refresh(below["refresh_token"], world.service_b_client)
    assert again.json()["error"] == "invalid_grant"


def test_service_when_a_scope_is_taken_from_one_child_then_what_is_below_the_next_is_cut(
    story, world
):
    one, two = Chain(story), Chain(story, prompt="consent")
    again = story.refresh(one.answers[2]["refresh_token"], world.service_b_client).json()
    assert again["scope"] == BOTH
    creation.narrow(two.rows[1], Narrowing(scope=Scope([READ])), OPERATOR, reason="enough")

    again = story.refresh(again["refresh_token"], world.service_b_client).json()

    assert again["scope"] == READ
    assert delegation_of(one.answers[1]).scopes == Scope([READ])


# An audience that is taken


@pytest.fixture
def own_child(story, world):
    """What web was allowed at A and B, and what it exchanged of that for itself at B."""
    world.web.change(
        may_refresh_exchanged_tokens=True,
        grants=[names.AUTHORIZATION_CODE, names.REFRESH_TOKEN, names.TOKEN_EXCHANGE],
    )
    root = story.tokens(scope=READ, resource=[SERVICE_A, SERVICE_B])
    return root, story.exchange(root["access_token"], world.web, audience=SERVICE_B).json()


@pytest.mark.consequence(
    14,
    "an audience is taken from a delegation",
    "what its client exchanged for itself loses it too, and what other clients were given goes on "
    "only if they stand in the rest of the audience, or `may_act` names them",
)
def test_audience_when_narrowed_then_the_clients_own_children_lose_it_with_all_below(
    story, world, own_child
):
    root, child = own_child
    below = story.exchange(child["access_token"], world.service_b_client, audience=SERVICE_C).json()
    narrowed(root, audience=Audience([SERVICE_A]))

    assert not story.is_active(child["access_token"], world.service_b_client)
    assert not story.is_active(below["access_token"], world.service_c_client)
    assert story.refresh(child["refresh_token"]).json()["error"] == "invalid_grant"
    onward = story.exchange(child["access_token"], world.service_b_client, audience=SERVICE_C)
    assert onward.json()["error"] == "invalid_request"
    again = story.refresh(below["refresh_token"], world.service_b_client)
    assert again.json()["error"] == "invalid_grant"
    assert story.is_active(root["access_token"])
    event = AuditEvent.objects.filter(event="delegation.narrowed").latest("id")
    assert event.details["ended"] == 2


def test_audience_when_narrowed_then_a_child_of_the_client_at_both_keeps_the_rest(
    story, world, own_child
):
    root, _child = own_child
    both = {"audience": [SERVICE_A, SERVICE_B]}
    child = story.exchange(root["access_token"], world.web, **both).json()
    narrowed(root, audience=Audience([SERVICE_A]))

    row = delegation_of(child)
    assert (row.revoked_at, row.audience) == (None, Audience([SERVICE_A]))
    assert not story.is_active(child["access_token"], world.service_b_client)
    assert story.is_active(child["access_token"], world.service_a_client)
    again = story.refresh(child["refresh_token"]).json()
    assert claims_of(again["access_token"])["aud"] == SERVICE_A


@pytest.fixture
def through_service(story, world):
    """What web was allowed at A and C, gave service A at B, and has back from there at C and A."""
    world.web.policy.audiences.add(world.service_c)
    world.service_b.introspectors.add(world.web.row)
    grants = [names.AUTHORIZATION_CODE, names.REFRESH_TOKEN, names.TOKEN_EXCHANGE]
    world.web.change(may_refresh_exchanged_tokens=True, grants=grants)
    root = story.tokens(scope=READ, resource=[SERVICE_A, SERVICE_C])
    given = story.exchange(root["access_token"]).json()
    targets = ([SERVICE_C], [SERVICE_A, SERVICE_C])
    back = [
        story.exchange(given["access_token"], world.web, audience=one).json() for one in targets
    ]
    return root, given, *back


def test_audience_when_narrowed_then_its_client_loses_it_behind_a_service_too(
    story, world, through_service, clock
):
    root, given, at_c, at_both = through_service
    before = clock.time
    clock.forward(seconds=5)
    narrowed(root, audience=Audience([SERVICE_A]))
    clock.forward(seconds=5)

    assert not story.is_active(at_c["access_token"], world.service_c_client)
    assert story.refresh(at_c["refresh_token"]).json()["error"] == "invalid_grant"
    assert not story.is_active(at_both["access_token"], world.service_c_client)
    again = story.refresh(at_both["refresh_token"]).json()
    assert claims_of(again["access_token"])["aud"] == SERVICE_A
    # The service between was given nothing of what is taken
    assert story.is_active(given["access_token"], world.service_b_client)
    row = delegation_of(at_both)
    assert audience_at(row, before) == (SERVICE_A, SERVICE_C)
    assert audience_at(row, clock.time) == tuple(row.audience) == (SERVICE_A,)


def test_audience_when_taken_behind_a_service_then_those_below_go_on_if_they_stand_in_the_rest(
    story, world, through_service
):
    root, _given, _at_c, at_both = through_service
    token = at_both["access_token"]
    at_a = story.exchange(token, audience=SERVICE_B).json()
    at_c = story.exchange(token, world.service_c_client, audience=SERVICE_A).json()
    narrowed(root, audience=Audience([SERVICE_A]))

    assert story.is_active(at_a["access_token"], world.service_b_client)
    assert not story.is_active(at_c["access_token"], world.service_a_client)


def test_audience_when_taken_behind_a_service_then_those_in_its_own_rest_go_on(
    story, world, through_service
):
    world.web.policy.audiences.add(world.service_b)
    root, given, *_ = through_service
    back = story.exchange(given["access_token"], world.web, audience=[SERVICE_B, SERVICE_C]).json()
    below = story.exchange(back["access_token"], world.service_b_client, audience=SERVICE_A).json()
    narrowed(root, audience=Audience([SERVICE_A]))

    assert delegation_of(back).audience == Audience([SERVICE_B])
    assert story.is_active(below["access_token"], world.service_a_client)


def test_cron_when_its_audience_is_narrowed_then_its_own_child_there_ends(story, world):
    world.cron.change(grants=[names.CLIENT_CREDENTIALS, names.TOKEN_EXCHANGE])
    world.cron.policy.audiences.add(world.service_b)
    root = story.client_credentials(resource=[SERVICE_A, SERVICE_B]).json()
    child = story.exchange(root["access_token"], world.cron, audience=SERVICE_B).json()

    narrowed(root, audience=Audience([SERVICE_A]))

    assert not story.is_active(child["access_token"], world.service_b_client)


def test_audience_when_a_block_takes_it_then_the_clients_own_children_lose_it_too(story, world):
    world.cron.change(grants=[names.CLIENT_CREDENTIALS, names.TOKEN_EXCHANGE])
    world.cron.policy.audiences.add(world.service_b)
    both = {"resource": [SERVICE_A, SERVICE_B]}
    one, two = (story.client_credentials(scope=scope, **both).json() for scope in (BOTH, READ))
    child = story.exchange(two["access_token"], world.cron, audience=SERVICE_B).json()
    narrowed(one, audience=Audience([SERVICE_A]))

    # Whichever client asks first
    story.exchange(two["access_token"])

    assert not story.is_active(child["access_token"], world.service_b_client)


def test_service_when_it_stood_in_the_taken_audience_only_then_what_it_was_given_ends(story, world):
    root = story.tokens(scope=READ, resource=[SERVICE_A, SERVICE_B])
    child = handed_on(story, root["access_token"])
    stays = story.exchange(root["access_token"], world.service_b_client, audience=SERVICE_C).json()
    narrowed(root, audience=Audience([SERVICE_B]))

    assert not story.is_active(child["access_token"], world.service_b_client)
    again = story.refresh(child["refresh_token"], world.service_a_client)
    assert again.json()["error"] == "invalid_grant"
    assert story.is_active(stays["access_token"], world.service_c_client)


@pytest.mark.parametrize("is_switched_off", [False, True])
def test_service_when_it_stands_in_the_rest_too_then_what_it_was_given_goes_on(
    story, world, is_switched_off
):
    world.service_b.introspectors.add(world.service_a_client.row)
    root = story.tokens(scope=READ, resource=[SERVICE_A, SERVICE_B])
    child = handed_on(story, root["access_token"])
    world.service_a.active = not is_switched_off
    world.service_a.save()

    narrowed(root, audience=Audience([SERVICE_A]))

    again = story.refresh(child["refresh_token"], world.service_a_client)
    assert claims_of(again.json()["access_token"])["aud"] == SERVICE_B


def test_service_when_may_act_names_it_then_what_it_was_given_goes_on(story, world):
    world.web.change(may_act="service-c")
    world.service_c_client.policy.audiences.add(world.service_b)
    root = story.tokens(scope=READ, resource=[SERVICE_A, SERVICE_B])
    child = handed_on(story, root["access_token"], world.service_c_client, audience=SERVICE_B)

    narrowed(root, audience=Audience([SERVICE_A]))

    assert story.is_active(child["access_token"], world.service_b_client)


def test_history_when_an_audience_was_taken_then_it_tells_of_the_child_as_it_was(
    story, world, own_child, clock
):
    root, _child = own_child
    both = {"audience": [SERVICE_A, SERVICE_B]}
    child = delegation_of(story.exchange(root["access_token"], world.web, **both).json())
    before = clock.time
    clock.forward(seconds=5)
    narrowed(root, audience=Audience([SERVICE_A]))
    clock.forward(seconds=5)

    assert audience_at(child, before) == (SERVICE_A, SERVICE_B)
    assert audience_at(child, clock.time) == (SERVICE_A,)


def audience_at(row, when):
    row = Delegation.objects.get(pk=row.pk)
    return History.of([row], when).line(row).audience
