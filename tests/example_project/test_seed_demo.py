"""`manage.py seed_demo`: the same world each time, whatever was lost."""

import json
from io import StringIO

import pytest
from django.contrib.auth import authenticate, get_user_model
from django.core.management import call_command

from delegation_app import toolkit
from delegation_app.models import ClientPolicy, ResourceServer
from delegation_app.protocol import names
from tests.support.world import App, Story, claims_of, redirected

pytestmark = pytest.mark.django_db

A, B, C = (f"https://service-{letter}.example.com" for letter in "abc")
METRICS = ["read:metrics", "write:alerts"]
PERSONAL = ["read:metrics", "read:profile", "write:alerts"]


@pytest.fixture(autouse=True)
def path(settings, tmp_path):
    settings.DEMO_CREDENTIALS = tmp_path / "made" / "credentials.json"
    return settings.DEMO_CREDENTIALS


def seed_demo(*arguments):
    out = StringIO()
    call_command("seed_demo", *arguments, stdout=out)
    return out.getvalue()


def seeded():
    return json.loads(seed_demo("--json"))


def application(client_id):
    return toolkit.application_model().objects.get(client_id=client_id)


# What is printed


def test_seed_when_asked_for_json_then_it_has_the_documented_shape():
    world = seeded()
    assert list(world) == ["issuer", "users", "audiences", "clients"]
    assert world["issuer"] == "https://as.example.com"
    assert list(world["users"]) == ["alice", "bob", "operator", "auditor"]
    for name, user in world["users"].items():
        assert user == {"username": name, "password": user["password"]}
        assert len(user["password"]) >= 16
    assert world["audiences"] == {"service_a": A, "service_b": B, "service_c": C}
    members = {"client_id", "client_secret", "redirect_uris", "scopes", "grants"}
    assert all(set(client) == members for client in world["clients"].values())
    secrets = [client["client_secret"] for client in world["clients"].values()]
    assert all(secret is None or len(secret) >= 40 for secret in secrets)


def test_seed_when_asked_for_json_then_clients_are_as_documented():
    code = [names.AUTHORIZATION_CODE, names.REFRESH_TOKEN]
    service = [names.CLIENT_CREDENTIALS, names.TOKEN_EXCHANGE]
    told = {
        name: (
            client["client_secret"] is None,
            client["redirect_uris"],
            client["scopes"],
            client["grants"],
        )
        for name, client in seeded()["clients"].items()
    }
    assert told == {
        "web": (False, ["https://web.example.com/callback"], PERSONAL, code),
        "mobile": (True, ["http://127.0.0.1/callback"], PERSONAL, code),
        "service_a": (False, [], METRICS, service),
        "service_b": (False, [], METRICS, service),
        "service_c": (False, [], [], []),
        "cron": (False, [], METRICS, [names.CLIENT_CREDENTIALS]),
        "tv": (True, [], PERSONAL, [names.DEVICE_CODE, names.REFRESH_TOKEN]),
    }


def test_seed_when_asked_for_a_table_then_it_names_everything():
    world = seeded()
    table = seed_demo()
    for user in world["users"].values():
        assert user["password"] in table
    for client in world["clients"].values():
        assert client["client_id"] in table
        assert (client["client_secret"] or "none: public") in table
    assert all(identifier in table for identifier in world["audiences"].values())


# What is in the database


def test_seed_when_done_then_services_know_their_scopes_and_who_speaks_for_them():
    seeded()
    known = {
        server.identifier: (
            list(server.scopes),
            list(server.introspectors.values_list("client_id", flat=True)),
        )
        for server in ResourceServer.objects.all()
    }
    assert known == {
        A: (["delete:alerts", *PERSONAL], ["service_a"]),
        B: (METRICS, ["service_b"]),
        C: (METRICS, ["service_c"]),
    }


def test_seed_when_done_then_policies_name_their_audiences_and_defaults():
    seeded()
    policies = {
        policy.application.client_id: (
            [server.identifier for server in policy.audiences.all()],
            policy.default_audience and policy.default_audience.identifier,
        )
        for policy in ClientPolicy.objects.all()
    }
    for client_id in ("web", "mobile", "cron", "tv"):
        assert policies[client_id] == ([A], A)
    assert policies["service_a"] == ([B], B)
    assert policies["service_b"] == ([C], C)
    assert policies["service_c"] == ([], None)


def test_seed_when_done_then_applications_pass_the_toolkit_s_own_validation():
    seeded()
    for row in toolkit.application_model().objects.all():
        row.full_clean()
        assert toolkit.registered_redirect_uris(row) == row.redirect_uris.split()


def test_seed_when_done_then_operator_may_all_and_auditor_may_look():
    seeded()
    operator = get_user_model().objects.get(username="operator")
    auditor = get_user_model().objects.get(username="auditor")
    deeds = {
        "revoke_delegation",
        "withdraw_consentrecord",
        "rotate_signingkey",
        "change_clientpolicy",
        "view_auditevent",
    }
    assert operator.has_perms([f"delegation_app.{deed}" for deed in deeds])
    registry = toolkit.application_model()._meta
    assert operator.has_perm(f"{registry.app_label}.change_{registry.model_name}")
    assert not operator.has_perm("auth.change_user")
    assert auditor.has_perm("delegation_app.view_delegation")
    looks = auditor.get_all_permissions()
    assert all(permission.startswith("delegation_app.view_") for permission in looks)
    staff = get_user_model().objects.filter(is_staff=True).values_list("username", flat=True)
    assert set(staff) == {"operator", "auditor"}
    assert not get_user_model().objects.filter(is_superuser=True).exists()


def test_seed_when_done_then_passwords_and_secrets_are_good_and_clients_get_tokens():
    world = seeded()
    for user in world["users"].values():
        assert authenticate(**user) is not None
    apps = {
        name: App(application(client["client_id"]), client["client_secret"])
        for name, client in world["clients"].items()
    }
    story = Story(None, get_user_model().objects.get(username="alice"))
    for name in ("web", "mobile"):
        page = story.authorize(apps[name], scope=" ".join(PERSONAL))
        answer = story.redeem(redirected(story.answer(page))["code"], apps[name])
        claims = claims_of(answer.json()["access_token"])
        assert claims["aud"] == A
        assert claims["scope"].split() == PERSONAL
    for name, audience in {"cron": A, "service_a": B, "service_b": C}.items():
        answer = story.client_credentials(apps[name])
        assert claims_of(answer.json()["access_token"])["aud"] == audience
    token = answer.json()["access_token"]
    assert story.is_active(token, apps["service_c"])
    assert not story.is_active(token, apps["service_a"])
