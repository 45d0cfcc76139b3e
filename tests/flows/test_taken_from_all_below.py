"""What is taken from a pair, or from an audience, is taken from what others were given by it."""

import pytest

from delegation_app.models import AuditEvent, Delegation, DelegationBlock
from delegation_app.protocol import names
from delegation_app.protocol.audience import Audience
from delegation_app.protocol.scope import Scope
from delegation_app.services import audit
from delegation_app.services.delegations import blocks, creation, revocation
from delegation_app.services.delegations.narrowing import Narrowing
from delegation_app.services.reporting.as_of_history import History
from tests.support.chains import handed_on
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
def test_cron_when_one_record_is_revoked(story, world):
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


def test_trusted_app_when_a_scope_is_taken_from_one(story, world, trusted):
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


def test_app_when_one_of_two_that_pages_opened_is_ended(story, world):
    one, two = story.tokens(scope=READ), story.tokens(scope=READ, prompt="consent")
    child = story.exchange(two["access_token"]).json()
    revoked(one)

    assert story.exchange(two["access_token"]).status_code == 200
    assert story.refresh(child["refresh_token"], world.service_a_client).status_code == 200


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


def test_service_when_it_stood_in_the_taken_audience_only(story, world):
    root = story.tokens(scope=READ, resource=[SERVICE_A, SERVICE_B])
    child = handed_on(story, root["access_token"])
    stays = story.exchange(root["access_token"], world.service_b_client, audience=SERVICE_C).json()
    narrowed(root, audience=Audience([SERVICE_B]))

    assert not story.is_active(child["access_token"], world.service_b_client)
    again = story.refresh(child["refresh_token"], world.service_a_client)
    assert again.json()["error"] == "invalid_grant"
    assert story.is_active(stays["access_token"], world.service_c_client)


@pytest.mark.parametrize("is_switched_off", [False, True])
def test_service_when_it_stands_in_the_rest_too(story, world, is_switched_off):
    world.service_b.introspectors.add(world.service_a_client.row)
    root = story.tokens(scope=READ, resource=[SERVICE_A, SERVICE_B])
    child = handed_on(story, root["access_token"])
    world.service_a.active = not is_switched_off
    world.service_a.save()

    narrowed(root, audience=Audience([SERVICE_A]))

    again = story.refresh(child["refresh_token"], world.service_a_client)
    assert claims_of(again.json()["access_token"])["aud"] == SERVICE_B


def audience_at(row, when):
    row = Delegation.objects.get(pk=row.pk)
    return History.of([row], when).line(row).audience
