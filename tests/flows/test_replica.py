"""A site whose router sends reads to a replica that lags: what decides is read where it is written.

Listings and the lists of choices in forms may come from the replica.
"""

import json
from datetime import timedelta
from http import HTTPStatus

import pytest
from django.apps import apps
from django.contrib.auth.models import Permission
from django.contrib.sessions.models import Session
from django.db import router
from django.urls import reverse

from delegation_app import primary
from delegation_app.models import (
    AuthorizationCode,
    ClientPolicy,
    ConsentRecord,
    Delegation,
    DelegationBlock,
    DeviceCode,
)
from delegation_app.models.base import PrimaryManager
from delegation_app.protocol.scope import Scope
from delegation_app.services import audit, name_search
from delegation_app.services.consent import approval
from delegation_app.services.delegations import creation, revocation
from delegation_app.services.delegations.narrowing import Narrowing
from tests.support import api, connections
from tests.support.replica import ReadsFromReplica, Replica
from tests.support.world import delegation_of, make_app, redirected

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.sqlite]

OPERATOR = audit.RequestContext(actor="user:99")
READ, BOTH = "read:metrics", "read:metrics write:alerts"
LOOKS = "tests.support.replica.LooksAtUsers"


@pytest.fixture
def replica(story, settings, tmp_path):
    """A replica that knows the world, and that alice has signed in."""
    settings.DATABASE_ROUTERS = [ReadsFromReplica()]
    with Replica(tmp_path / "replica.sqlite3").serving() as serving:
        yield serving


@pytest.fixture
def operator(story, replica):
    """Bob's browser: he may do all deeds by his permissions, and by nothing else."""
    bob = story.world.bob
    bob.is_staff = True
    bob.save()
    bob.user_permissions.set(Permission.objects.using("default").all())
    browser = type(story.browser)()
    browser.force_login(bob)
    replica.catch_up()
    return browser


def test_models_when_their_rows_are_read():
    for model in apps.get_app_config("delegation_app").get_models():
        for manager in (model._default_manager, model._base_manager):
            assert isinstance(manager, PrimaryManager), model


def test_row_when_an_alias_is_named(story, replica):
    row = delegation_of(story.tokens())
    replica.catch_up()
    revocation.subtree(row, OPERATOR, reason="x")

    assert Delegation.objects.get(pk=row.pk).revoked_at is not None
    stale = Delegation.objects.using("replica").get(pk=row.pk)
    assert stale.revoked_at is None
    # What hangs on it, and what it is now
    assert stale.consent._state.db == "default"
    stale.refresh_from_db(using="replica")
    assert stale.revoked_at is None
    stale.refresh_from_db()
    assert stale.revoked_at is not None


# Nothing is asked of the replica


def by_code(story):
    code = redirected(story.answer(story.authorize()))["code"]
    tokens = story.redeem(code).json()
    assert story.authorize().status_code == HTTPStatus.SEE_OTHER
    again = story.refresh(tokens["refresh_token"])
    # A retry
    assert story.refresh(tokens["refresh_token"]).json()["refresh_token"]
    assert story.is_active(again.json()["access_token"])
    # A replay
    assert story.redeem(code).status_code == HTTPStatus.BAD_REQUEST
    assert not story.is_active(again.json()["access_token"])


def by_device(story):
    code = story.approved()
    assert story.poll(code).status_code == HTTPStatus.OK
    assert story.poll(code).status_code == HTTPStatus.BAD_REQUEST


def by_exchange(story):
    tokens = story.tokens()
    child = story.exchange(tokens["access_token"]).json()
    assert story.is_active(child["access_token"], story.world.service_b_client)
    assert story.revoke(tokens["access_token"]).status_code == HTTPStatus.OK
    assert story.exchange(tokens["access_token"]).status_code == HTTPStatus.BAD_REQUEST
    assert story.revoke(tokens["refresh_token"]).status_code == HTTPStatus.OK
    assert not story.is_active(child["access_token"], story.world.service_b_client)


def by_itself(story):
    for _ in range(2):
        assert story.client_credentials().status_code == HTTPStatus.OK


def refusals(story):
    assert redirected(story.answer(story.authorize(), "deny"))["error"] == "access_denied"
    assert story.redeem("unknown").status_code == HTTPStatus.BAD_REQUEST
    assert story.introspect("unknown").json() == {"active": False}
    assert story.revoke("unknown").status_code in {HTTPStatus.OK, HTTPStatus.BAD_REQUEST}
    assert story.post("/oauth/token", {"client_id": "nobody"}).status_code != HTTPStatus.OK


def pages_of_a_person(story):
    row = delegation_of(story.tokens())
    for address in (connections.LIST, connections.at(row), connections.ALL):
        connections.shown(story, address)
    connections.send(story, connections.at(row, "narrow"), scopes=[READ])
    connections.send(story, connections.at(row, "end"))
    story.tokens()
    connections.send(story, connections.ALL)
    assert not Delegation.objects.live().exists()


def interface_of_a_person(story):
    row = delegation_of(story.tokens())
    api.got(story.browser, api.MINE)
    api.got(story.browser, api.mine(row))
    api.did(story.browser, api.mine(row, "narrow"), scopes=[READ])
    api.did(story.browser, api.mine(row, "end"))
    story.tokens()
    told = api.got(story.browser, api.ALL_OF_MINE)
    api.did(story.browser, api.ALL_OF_MINE, confirm=told["confirm"])
    assert not Delegation.objects.live().exists()


def documents(story):
    story.tokens()
    for address in (
        "/oauth/jwks",
        "/oauth/status",
        "/oauth/status/0",
        "/.well-known/oauth-authorization-server",
    ):
        assert story.wire.get(address).status_code in {HTTPStatus.OK, HTTPStatus.NOT_FOUND}


PARTS = [
    by_code, by_device, by_exchange, by_itself, refusals, pages_of_a_person, interface_of_a_person,
    documents,
]  # fmt: skip


@pytest.mark.parametrize("part", PARTS)
def test_replica_when_it_has_nothing_at_all(story, replica, part):
    replica.lose_everything()
    part(story)
    assert replica.statements == []


@pytest.mark.parametrize("backend", ["db", "cached_db", "cache", "signed_cookies"])
def test_replica_when_sessions_are_kept_elsewhere(story, replica, settings, backend):
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{backend}"
    story.browser.force_login(story.world.alice)
    replica.lose_everything()
    by_code(story)
    assert replica.statements == []


def test_operator_when_they_act_by_script(story, replica, operator):
    rows = [delegation_of(story.tokens(scope=READ)) for _ in range(2)]
    replica.lose_everything()

    api.got(operator, api.THEIRS)
    api.got(operator, api.theirs(rows[0]))
    api.got(operator, api.theirs(rows[0], "revoke"))
    ends = (audit.clock.now() + timedelta(minutes=5)).isoformat()
    api.did(operator, api.theirs(rows[0], "narrow"), expires_at=ends, reason="x")
    api.did(operator, api.theirs(rows[0], "revoke"), reason="x")
    assert replica.statements == []


def left_by(row):
    revocation.subtree(row, OPERATOR, reason="x")
    return DelegationBlock.objects.get()


DEEDS = {
    "delegation_revoke": lambda row: row,
    "delegation_narrow": lambda row: row,
    "consentrecord_withdraw": lambda row: row.consent,
    "delegationblock_lift": left_by,
}


@pytest.mark.parametrize("deed", DEEDS)
def test_operator_when_they_act_in_the_admin(story, replica, operator, deed):
    row = delegation_of(story.tokens())
    record = DEEDS[deed](row)
    replica.lose_everything()

    address = reverse(f"admin:delegation_app_{deed}", args=[record.pk])
    done = operator.post(address, {"reason": "x", "scopes": [READ], "audience": row.audience})

    assert done.status_code == HTTPStatus.FOUND, done.content
    assert replica.statements == []


# What the replica does not know yet


def test_what_was_taken_when_it_has_not_arrived(story, replica):
    row = delegation_of(story.tokens(scope=READ))
    story.client_credentials(scope=BOTH)
    replica.catch_up()
    revocation.subtree(row, OPERATOR, reason="x")
    own = Delegation.objects.get(principal_client__isnull=False)
    creation.narrow(own, Narrowing(scope=Scope([READ])), OPERATOR, reason="x")

    assert redirected(story.authorize(scope=READ, prompt="none"))["error"] == "consent_required"
    assert story.client_credentials(scope=BOTH).json()["scope"] == READ


def test_confirmation_when_the_consent_has_not_arrived(story, replica, settings):
    settings.DELEGATION = {**settings.DELEGATION, "SCOPE_RISKS": {"write:alerts": "high"}}
    story.world.tv.change(confirm_risky=True)
    replica.catch_up()
    started = story.start().json()
    story.connect(story.enter(started["user_code"]))

    approval.approve(ConsentRecord.objects.get(), OPERATOR, reason="x")

    assert DeviceCode.objects.get().delegation is not None
    assert story.poll(started["device_code"]).status_code == HTTPStatus.OK
    assert replica.statements == []


def test_policy_when_its_client_has_not_arrived(story, replica):
    made = make_app("late", grants=["client_credentials"], audiences=[story.world.service_a])
    policy = ClientPolicy.objects.get(application=made.row.pk)
    policy.scopes = READ
    policy.save()

    assert story.client_credentials(made, scope=READ).status_code == HTTPStatus.OK
    assert replica.statements == []


def test_person_when_a_new_name_has_not_arrived(story, replica):
    alice, bob = story.world.alice, story.world.bob
    for user, name in ((alice, "gone"), (bob, "alice")):
        type(user).objects.filter(pk=user.pk).update(username=name)

    assert name_search.people_named("alice") == [bob.pk]
    assert name_search.people_called("alice") == [bob.pk]


# Who is signed in, as the replica still has it


def disabled(user):
    type(user).objects.filter(pk=user.pk).update(is_active=False)


def with_another_password(user):
    fresh = type(user).objects.using("default").get(pk=user.pk)
    fresh.set_password("another one")
    fresh.save()


def signed_out(_user):
    Session.objects.using("default").all().delete()


def deleted(user):
    type(user).objects.using("default").get(pk=user.pk).delete()


def goes_to_sign_in(answer):
    return answer.status_code == HTTPStatus.FOUND and "login" in answer["Location"]


@pytest.fixture(params=["by us", "by a middleware", "for the CSRF check"])
def first_look(request, settings):
    """Who looks at the session first."""
    if request.param == "by a middleware":
        settings.MIDDLEWARE = [*settings.MIDDLEWARE, LOOKS]
    settings.CSRF_USE_SESSIONS = request.param == "for the CSRF check"


@pytest.mark.parametrize("change", [disabled, with_another_password, signed_out, deleted])
def test_person_when_they_are_signed_in_no_longer(story, replica, first_look, change):
    row = delegation_of(story.tokens(scope=READ))
    page = story.authorize(scope=BOTH, prompt="consent")
    mark = connections.mark_on(connections.shown(story, connections.at(row, "end")))
    replica.catch_up()
    change(story.world.alice)
    codes = AuthorizationCode.objects.count()

    assert goes_to_sign_in(story.authorize(scope=READ))
    answered = story.answer(page)
    assert answered.status_code == HTTPStatus.BAD_REQUEST
    assert b"signed out" in answered.content
    assert goes_to_sign_in(story.browser.get("/oauth/device"))
    assert goes_to_sign_in(story.browser.get(connections.LIST))
    assert goes_to_sign_in(connections.post(story, connections.at(row, "end"), person=mark))
    assert story.browser.get(api.MINE).status_code == HTTPStatus.UNAUTHORIZED
    ended = story.browser.post(api.mine(row, "end"), "{}", content_type=api.JSON)
    assert ended.status_code == HTTPStatus.UNAUTHORIZED
    assert AuthorizationCode.objects.count() == codes
    assert redirected(story.authorize(scope=READ, prompt="none"))["error"] == "login_required"


def test_person_when_their_sign_in_has_not_arrived(story, replica, first_look):
    signed_out(story.world.alice)
    replica.catch_up()
    story.browser.force_login(story.world.alice)

    assert story.authorize().status_code == HTTPStatus.OK


def without_permissions(user):
    user.user_permissions.clear()


def no_staff(user):
    type(user).objects.filter(pk=user.pk).update(is_staff=False)


@pytest.mark.parametrize("change", [disabled, signed_out, without_permissions, no_staff])
def test_operator_when_they_may_no_longer(story, replica, first_look, operator, change):
    row = delegation_of(story.tokens(scope=READ))
    replica.catch_up()
    change(story.world.bob)

    script = operator.post(
        api.theirs(row, "revoke"), json.dumps({"reason": "x"}), content_type=api.JSON
    )
    page = operator.post(
        reverse("admin:delegation_app_delegation_revoke", args=[row.pk]), {"reason": "x"}
    )
    many = operator.post(
        reverse("admin:delegation_app_delegation_changelist"),
        {"action": "revoke_selected", "_selected_action": row.pk, "delegations": row.pk},
    )

    assert script.status_code in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
    assert page.status_code == HTTPStatus.FORBIDDEN or goes_to_sign_in(page)
    assert many.status_code == HTTPStatus.FORBIDDEN or goes_to_sign_in(many)
    assert Delegation.objects.get(pk=row.pk).revoked_at is None


def test_router_when_no_decision_is_made(replica):
    with primary.reading(), primary.reading():
        assert router.db_for_read(Session) == "default"
    assert router.db_for_read(Session) == "replica"
    assert len([one for one in router.routers if one is primary._FIRST]) == 1
