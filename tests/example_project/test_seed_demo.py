"""`manage.py seed_demo`: the same world each time, also after losses and changes."""

import json
import stat
from io import StringIO

import pytest
from django.contrib.auth import authenticate, get_user_model
from django.core.management import CommandError, call_command
from django.db import OperationalError

from delegation_app import toolkit
from delegation_app.models import AuditEvent, ClientPolicy, Delegation, ResourceServer
from delegation_app.protocol import names
from delegation_app.services import audit
from delegation_app.services.clients import lookup
from delegation_app.services.delegations import revocation
from example_project.demo import seed
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


def test_json_has_the_documented_shape():
    world = seeded()
    assert list(world) == ["issuer", "users", "audiences", "clients"]
    assert world["issuer"] == "https://as.example.com"
    assert list(world["users"]) == ["alice", "bob", "operator", "auditor"]
    for name, user in world["users"].items():
        assert user == {"username": name, "password": user["password"]}
        assert len(user["password"]) >= 16
    assert world["audiences"] == {"service_a": A, "service_b": B, "service_c": C}
    code = [names.AUTHORIZATION_CODE, names.REFRESH_TOKEN]
    service = [names.CLIENT_CREDENTIALS, names.TOKEN_EXCHANGE]
    clients = {}
    for client_id, client in world["clients"].items():
        assert client.pop("client_id") == client_id
        secret = client.pop("client_secret")
        assert secret is None or len(secret) >= 40
        clients[client_id] = (secret is None, *client.values())
        assert list(client) == ["redirect_uris", "scopes", "grants"]
    assert clients == {
        "web": (False, ["https://web.example.com/callback"], PERSONAL, code),
        "mobile": (True, ["http://127.0.0.1/callback"], PERSONAL, code),
        "service_a": (False, [], METRICS, service),
        "service_b": (False, [], METRICS, service),
        "service_c": (False, [], [], []),
        "cron": (False, [], METRICS, [names.CLIENT_CREDENTIALS]),
        "tv": (True, [], PERSONAL, [names.DEVICE_CODE, names.REFRESH_TOKEN]),
    }


def test_table_has_all_credentials():
    world = seeded()
    table = seed_demo()
    assert all(user["password"] in table for user in world["users"].values())
    for client in world["clients"].values():
        assert client["client_id"] in table
        assert (client["client_secret"] or "none: public") in table
    assert all(identifier in table for identifier in world["audiences"].values())


# What is in the database


def test_services_and_policies_are_as_documented():
    seeded()
    assert {
        server.identifier: (
            list(server.scopes),
            list(server.introspectors.values_list("client_id", flat=True)),
        )
        for server in ResourceServer.objects.all()
    } == {
        A: (["delete:alerts", *PERSONAL], ["service_a"]),
        B: (METRICS, ["service_b"]),
        C: (METRICS, ["service_c"]),
    }
    at_a = dict.fromkeys(("web", "mobile", "cron", "tv"), ([A], A))
    assert {
        policy.application.client_id: (
            [server.identifier for server in policy.audiences.all()],
            policy.default_audience and policy.default_audience.identifier,
        )
        for policy in ClientPolicy.objects.all()
    } == at_a | {"service_a": ([B], B), "service_b": ([C], C), "service_c": ([], None)}
    for row in toolkit.application_model().objects.all():
        row.full_clean()
        assert toolkit.registered_redirect_uris(row) == row.redirect_uris.split()


def test_operator_may_act_and_auditor_may_view():
    seeded()
    users = get_user_model().objects
    operator, auditor = users.get(username="operator"), users.get(username="auditor")
    actions = ("revoke_delegation", "withdraw_consentrecord", "rotate_signingkey")
    more = ("change_clientpolicy", "view_auditevent")
    assert operator.has_perms([f"delegation_app.{name}" for name in (*actions, *more)])
    registry = toolkit.application_model()._meta
    assert operator.has_perm(f"{registry.app_label}.change_{registry.model_name}")
    assert not operator.has_perm("auth.change_user")
    assert auditor.has_perm("delegation_app.view_delegation")
    permissions = auditor.get_all_permissions()
    assert all(permission.startswith("delegation_app.view_") for permission in permissions)
    staff = users.filter(is_staff=True).values_list("username", flat=True)
    assert set(staff) == {"operator", "auditor"}
    assert not users.filter(is_superuser=True).exists()


def test_credentials_work_and_clients_obtain_tokens():
    world = seeded()
    assert all(authenticate(**user) is not None for user in world["users"].values())
    apps = {
        name: App(application(client["client_id"]), client["client_secret"])
        for name, client in world["clients"].items()
    }
    story = Story(None, get_user_model().objects.get(username="alice"))
    for name in ("web", "mobile"):
        page = story.authorize(apps[name], scope=" ".join(PERSONAL))
        answer = story.redeem(redirected(story.answer(page))["code"], apps[name])
        claims = claims_of(answer.json()["access_token"])
        assert (claims["aud"], claims["scope"].split()) == (A, PERSONAL)
    for name, audience in {"cron": A, "service_a": B, "service_b": C}.items():
        token = story.client_credentials(apps[name]).json()["access_token"]
        assert claims_of(token)["aud"] == audience
    assert story.is_active(token, apps["service_c"])
    assert not story.is_active(token, apps["service_a"])


# The first run, further runs, and runs after losses


def test_first_run_records_each_client_and_service_and_keeps_the_file_private(path):
    seeded()
    recorded = AuditEvent.objects.values_list("event", flat=True)
    assert sorted(recorded) == ["client.changed"] * 7 + ["resource_server.changed"] * 3
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_second_run_prints_the_same_and_records_nothing(path):
    first = seeded()
    events, written = AuditEvent.objects.count(), path.stat().st_mtime_ns
    assert seeded() == first
    assert AuditEvent.objects.count() == events
    assert path.stat().st_mtime_ns == written


def test_lost_file_means_new_credentials(path):
    first = seeded()
    path.unlink()
    second = seeded()
    for name, user in second["users"].items():
        assert authenticate(**user) is not None
        assert authenticate(**first["users"][name]) is None
    for name, client in second["clients"].items():
        if client["client_secret"] is not None:
            row = application(name)
            assert toolkit.secret_matches(row, client["client_secret"])
            assert not toolkit.secret_matches(row, first["clients"][name]["client_secret"])


def test_lost_database_gets_the_same_credentials():
    first = seeded()
    get_user_model().objects.all().delete()
    toolkit.application_model().objects.all().delete()
    ResourceServer.objects.all().delete()
    assert seeded() == first
    assert authenticate(**first["users"]["alice"]) is not None
    assert toolkit.secret_matches(application("cron"), first["clients"]["cron"]["client_secret"])


def test_changed_rows_are_restored_and_that_is_recorded():
    world = seeded()
    events = AuditEvent.objects.count()
    alice = get_user_model().objects.get(username="alice")
    alice.is_active, alice.is_superuser = False, True
    alice.set_password("forgotten")
    alice.save()
    ClientPolicy.objects.filter(application__client_id="web").update(enabled=False, scopes="")
    ClientPolicy.objects.get(application__client_id="web").audiences.clear()
    ResourceServer.objects.filter(identifier=A).update(active=False)
    toolkit.application_model().objects.filter(client_id="cron").update(client_secret="lost")

    assert seeded() == world

    alice = authenticate(**world["users"]["alice"])
    assert alice is not None
    assert not alice.is_superuser
    web = lookup.find("web")
    assert web.policy.enabled
    assert list(web.policy.scopes) == PERSONAL
    assert list(web.servers) == [A]
    assert toolkit.secret_matches(application("cron"), world["clients"]["cron"]["client_secret"])
    # Disabling and enabling Alice are events of her own
    since = AuditEvent.objects.order_by("id")[events:]
    new = [event for event in since if not event.event.startswith("user.")]
    policy = [f"clientpolicy.{name}" for name in ("audiences", "enabled", "scopes")]
    assert {
        (event.event, event.client_id_value): sorted(event.details["fields"]) for event in new
    } == {
        ("resource_server.changed", ""): ["active"],
        ("client.changed", "web"): policy,
        ("client.changed", "cron"): ["client_secret"],
    }


def test_blocked_client_is_unblocked():
    world = seeded()
    cron = App(application("cron"), world["clients"]["cron"]["client_secret"])
    story = Story(None)
    assert story.client_credentials(cron).status_code == 200
    operator = audit.RequestContext(actor="user:1")
    revocation.subtree(Delegation.objects.get(), operator, reason="noisy")
    assert story.client_credentials(cron).json()["error"] == "unauthorized_client"
    seeded()
    assert story.client_credentials(cron).status_code == 200


def test_new_names_leave_the_others_as_they_are(path):
    first = seeded()
    stored = json.loads(path.read_text())
    del stored["users"]["bob"], stored["clients"]["cron"]
    path.write_text(json.dumps(stored))
    second = seeded()
    for kind, name in (("users", "bob"), ("clients", "cron")):
        assert first[kind].pop(name) != second[kind].pop(name)
    assert first == second


# When it cannot be done


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"users": {"alice": 1}, "clients": {}}'])
def test_damaged_file_is_reported_and_left_alone(path, text):
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(CommandError, match="is damaged; delete it"):
        seed_demo("--json")
    assert path.read_text() == text
    assert not get_user_model().objects.exists()


def test_failure_half_way_says_what_to_do_and_leaves_nothing(monkeypatch):
    def fail(*_arguments):
        raise OperationalError("no such table: delegation_app_clientpolicy")

    monkeypatch.setattr(seed, "_seed_client", fail)
    with pytest.raises(CommandError, match="Run migrate first: no such table"):
        seed_demo("--json")
    assert not get_user_model().objects.exists()
    assert not ResourceServer.objects.exists()
