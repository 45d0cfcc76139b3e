"""Whoever or whatever is switched off: at the next call nothing of it works any more.

One table: what is switched off, and what each door answers then.
"""

from dataclasses import dataclass

import pytest

from delegation_app import toolkit
from delegation_app.models import AuditEvent, ConsentRecord, Delegation, ResourceServer
from delegation_app.protocol.errors import InvalidToken
from delegation_app.resource_server.verifiers.offline import Clocks, OfflineVerifier
from delegation_app.services import audit
from delegation_app.services.consent import approval
from delegation_app.services.delegations import revocation
from delegation_app.services.tokens import local_verifier
from tests.support.answers import each, refusal_recorded
from tests.support.wire import Wire
from tests.support.world import SERVICE_A, SERVICE_B, claims_of, delegation_of

OPERATOR = audit.RequestContext("user:99")


@dataclass(frozen=True)
class Refusal:
    """What is switched off, and the error of a refresh and of a redemption after it."""

    name: str
    switch_off: object
    refresh: tuple[int, str]
    redeem: tuple[int, str]


def deactivate_person(world):
    world.alice.is_active = False
    world.alice.save()


def delete_people(world):
    """As a management command would: by queryset."""
    type(world.alice).objects.filter(pk=world.alice.pk).delete()


def withdraw_consents(_world):
    for record in ConsentRecord.objects.all():
        approval.withdraw(record, OPERATOR, reason="withdrawn")


def revoke_all_of_person(world):
    revocation.of_user(world.alice, OPERATOR, reason="left the company")


def revoke_all_of_client(world):
    revocation.of_client(world.web.row, OPERATOR, reason="compromised")


def delete_clients(_world):
    toolkit.application_model().objects.filter(client_id="web").delete()


def server(world):
    return ResourceServer.objects.filter(pk=world.service_a.pk)


GRANT = (400, "invalid_grant")
CLIENT = (401, "invalid_client")
SCOPE = (400, "invalid_scope")
TARGET = (400, "invalid_target")

TABLE = [
    Refusal("person inactive", deactivate_person, GRANT, GRANT),
    Refusal("person deleted", lambda world: world.alice.delete(), GRANT, GRANT),
    Refusal("person deleted in bulk", delete_people, GRANT, GRANT),
    Refusal("person's delegations revoked", revoke_all_of_person, GRANT, GRANT),
    Refusal("client disabled", lambda world: world.web.change(enabled=False), CLIENT, CLIENT),
    Refusal("client deleted", lambda world: world.web.row.delete(), CLIENT, CLIENT),
    Refusal("client deleted in bulk", delete_clients, CLIENT, CLIENT),
    Refusal("client's delegations revoked", revoke_all_of_client, GRANT, GRANT),
    Refusal("consent withdrawn", withdraw_consents, GRANT, GRANT),
    Refusal("scopes removed", lambda world: world.web.change(scopes=""), SCOPE, SCOPE),
    Refusal(
        "audience removed",
        lambda world: world.web.policy.audiences.remove(world.service_a),
        TARGET,
        TARGET,
    ),
    Refusal("policy emptied", lambda world: world.web.policy.audiences.clear(), TARGET, TARGET),
    Refusal("service inactive", lambda world: server(world).update(active=False), TARGET, TARGET),
    Refusal("service deleted", lambda world: server(world).delete(), TARGET, TARGET),
    Refusal("service knows no scope", lambda world: server(world).update(scopes=""), SCOPE, SCOPE),
]


@pytest.fixture(params=TABLE, ids=lambda refusal: refusal.name.replace(" ", "-"))
def refusal(request):
    return request.param


@pytest.fixture
def held(story):
    """What web holds before: it is all good, so that what is refused later was switched off."""
    tokens, code = story.tokens(), story.code()
    assert story.is_active(tokens["access_token"])
    assert story.is_active(tokens["refresh_token"], story.world.web)
    assert str(local_verifier.verify(tokens["access_token"], SERVICE_A).scope) == tokens["scope"]
    return {**tokens, "code": code}


def error_of(response):
    return response.status_code, response.json()["error"]


def allowed_here(token, audience=SERVICE_A):
    """What the verifier of this process lets a token do: nothing, if it is refused."""
    try:
        return str(local_verifier.verify(token, audience).scope)
    except InvalidToken:
        return ""


@pytest.mark.conformance("DG-08", "TK-13", "RT-09", "IN-05", "TX-06")
@pytest.mark.consequence(
    3,
    "a user is deactivated, a client disabled",
    "nothing of theirs, and nothing below it, is issued or reported active until they are "
    "enabled again",
)
def test_every_door_when_something_is_switched_off(story, held, refusal):
    world, token = story.world, held["access_token"]
    refusal.switch_off(world)
    # First, since a refresh ends what is narrowed to nothing
    assert allowed_here(token) == ""
    for asker in (world.service_a_client, world.operator_tool):
        assert story.introspect(token, asker).json() == {"active": False}
    own = story.introspect(token, world.web)
    assert error_of(own) == CLIENT if refusal.refresh == CLIENT else own.json() == {"active": False}
    with refusal_recorded("invalid_request", delegation=delegation_of(held)):
        exchanged = story.exchange(token)
    assert exchanged.json()["error_description"] == "The subject token is not valid."
    for request, error in (
        (lambda: story.redeem(held["code"]), refusal.redeem),
        (lambda: story.refresh(held["refresh_token"]), refusal.refresh),
    ):
        with each(error), refusal_recorded(error[1]):
            assert error_of(request()) == error
    assert "code=" not in story.authorize().get("Location", "")


@pytest.mark.conformance("DG-08", "RS-07")
def test_offline_verifier_when_something_is_switched_off(story, held, refusal, clock):
    wire = Wire()
    verifier = OfflineVerifier(
        "https://as.example.com",
        SERVICE_A,
        poll_seconds=0,
        transport=wire,
        clocks=Clocks(wall=lambda: clock().timestamp(), steady=lambda: clock().timestamp()),
    )
    token = held["access_token"]
    assert verifier.verify(token).allows(["read:metrics"])

    refusal.switch_off(story.world)
    # As if another process had done it, of which this one is not told
    clock.forward(seconds=2)
    verifier.refresh()

    with pytest.raises(InvalidToken):
        verifier.verify(token)


# Half of it


@pytest.mark.conformance("DG-08", "DG-02")
def test_scope_when_one_is_removed_from_the_policy(story, held):
    story.world.web.change(scopes="read:metrics read:profile")
    told = story.introspect(held["access_token"]).json()
    assert (told["active"], told["scope"]) == (True, "read:metrics")
    assert allowed_here(held["access_token"]) == "read:metrics"
    assert story.redeem(held["code"]).json()["scope"] == "read:metrics"
    refreshed = story.refresh(held["refresh_token"]).json()
    assert refreshed["scope"] == "read:metrics"
    assert claims_of(refreshed["access_token"])["scope"] == "read:metrics"
    wider = story.refresh(refreshed["refresh_token"], scope="write:alerts")
    assert error_of(wider) == SCOPE


@pytest.mark.conformance("DG-08")
def test_scope_when_the_service_forgets_one(story, held):
    server(story.world).update(scopes="write:alerts")
    assert story.introspect(held["access_token"]).json()["scope"] == "write:alerts"
    assert allowed_here(held["access_token"]) == "write:alerts"
    assert story.refresh(held["refresh_token"]).json()["scope"] == "write:alerts"


@pytest.mark.conformance("DG-08")
@pytest.mark.parametrize(
    "switch_off",
    [
        lambda world: world.web.policy.audiences.remove(world.service_b),
        lambda world: ResourceServer.objects.filter(pk=world.service_b.pk).update(active=False),
        lambda world: world.service_b.delete(),
    ],
    ids=["removed", "inactive", "deleted"],
)
@pytest.mark.consequence(
    4,
    "a scope or audience is taken from a policy, a resource server is switched off",
    "the next refresh, redemption and introspection leaves it out or refuses",
)
def test_audience_when_one_of_two_goes(story, switch_off):
    tokens = story.tokens(resource=[SERVICE_A, SERVICE_B])
    world = story.world
    assert story.is_active(tokens["access_token"], world.service_b_client)
    switch_off(world)
    assert story.is_active(tokens["access_token"], world.service_a_client)
    assert not story.is_active(tokens["access_token"], world.service_b_client)
    assert allowed_here(tokens["access_token"], SERVICE_A) == "read:metrics write:alerts"
    assert allowed_here(tokens["access_token"], SERVICE_B) == ""
    gone = story.refresh(tokens["refresh_token"], resource=SERVICE_B)
    assert error_of(gone) == TARGET
    refreshed = story.refresh(tokens["refresh_token"]).json()
    assert claims_of(refreshed["access_token"])["aud"] == SERVICE_A


# A client on its own


@pytest.mark.conformance("DG-08")
@pytest.mark.parametrize(
    ("switch_off", "error"),
    [
        (lambda world: world.cron.change(enabled=False), CLIENT),
        (lambda world: world.cron.row.delete(), CLIENT),
        (lambda world: world.cron.change(scopes=""), SCOPE),
        (lambda world: world.cron.policy.audiences.clear(), TARGET),
        (lambda world: server(world).update(active=False), TARGET),
        (
            lambda world: revocation.of_client(world.cron.row, OPERATOR, reason="x"),
            (400, "unauthorized_client"),
        ),
    ],
    ids=["disabled", "deleted", "scopes", "audiences", "service", "revoked"],
)
def test_client_when_something_is_switched_off(story, switch_off, error):
    token = story.client_credentials().json()["access_token"]
    assert story.is_active(token)
    switch_off(story.world)
    assert error_of(story.client_credentials()) == error
    assert not story.is_active(token)
    assert allowed_here(token) == ""


def test_asker_when_it_no_longer_speaks_for_the_service(story, held):
    story.world.service_a.introspectors.clear()
    assert story.introspect(held["access_token"]).json() == {"active": False}
    story.world.service_a.introspectors.add(story.world.service_a_client.row)
    story.world.service_a_client.change(enabled=False)
    assert error_of(story.introspect(held["access_token"])) == CLIENT


# What stays


def test_person_when_switched_on_again(story, held):
    deactivate_person(story.world)
    assert not story.is_active(held["access_token"])
    story.world.alice.is_active = True
    story.world.alice.save()
    assert story.is_active(held["access_token"])
    assert story.refresh(held["refresh_token"]).status_code == 200


@pytest.mark.parametrize(
    ("switch_off", "reason"),
    [
        (lambda world: world.alice.delete(), "the person was deleted"),
        (lambda world: world.web.row.delete(), "the client was deleted"),
    ],
    ids=["person", "client"],
)
def test_record_when_person_or_client_is_deleted(story, held, switch_off, reason):
    subject = f"user:{story.world.alice.pk}"
    switch_off(story.world)
    assert Delegation.objects.count() == 2
    for delegation in Delegation.objects.all():
        assert (delegation.subject, delegation.delegate_client_id) == (subject, "web")
        assert (delegation.revoked_by, delegation.revocation_reason) == ("system", reason)
    record = ConsentRecord.objects.get()
    assert (record.subject, record.client_id_value, record.client_name) == (subject, "web", "Web")
    assert AuditEvent.objects.filter(event="delegation.revoked", subject=subject).count() == 2


def test_client_when_made_again_under_the_same_id(story, held):
    world = story.world
    row, policy, secret = world.web.row, world.web.policy, world.web.secret
    audiences = list(policy.audiences.all())
    row.delete()
    row.pk = row.id = None
    row.client_secret = secret
    row._state.adding = True
    row.save()
    policy.application, policy._state.adding = row, True
    policy.save()
    policy.audiences.set(audiences)
    assert error_of(story.refresh(held["refresh_token"])) == GRANT
    assert error_of(story.redeem(held["code"])) == GRANT
    assert not story.is_active(held["access_token"])
    assert story.authorize().status_code == 200
