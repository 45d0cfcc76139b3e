"""`manage.py seed_demo` again: after losses, after drift, and where it can't be done."""

import json
import stat
from io import StringIO

import pytest
from django.contrib.auth import authenticate, get_user_model
from django.core.management import CommandError, call_command
from django.db import OperationalError

from delegation_app import toolkit
from delegation_app.models import AuditEvent, ClientPolicy, Delegation, ResourceServer
from delegation_app.services import audit
from delegation_app.services.clients import lookup
from delegation_app.services.delegations import revocation
from example_project.demo import rows
from tests.support.world import App, Story

pytestmark = pytest.mark.django_db

A = "https://service-a.example.com"
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


# Again, and after losses


def test_seed_when_run_again_then_it_says_the_same_and_writes_nothing(path):
    first = seeded()
    events, written = AuditEvent.objects.count(), path.stat().st_mtime_ns
    assert seeded() == first
    assert AuditEvent.objects.count() == events
    assert path.stat().st_mtime_ns == written


def test_seed_when_first_run_then_one_event_for_each_client_and_service():
    seeded()
    recorded = AuditEvent.objects.values_list("event", flat=True)
    assert sorted(recorded) == ["client.changed"] * 7 + ["resource_server.changed"] * 3


def test_seed_when_first_run_then_the_file_is_its_owner_s_alone(path):
    seeded()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_seed_when_the_file_was_lost_then_new_credentials_are_set(path):
    first = seeded()
    path.unlink()
    second = seeded()
    for name, user in second["users"].items():
        assert user["password"] != first["users"][name]["password"]
        assert authenticate(**user) is not None
        assert authenticate(**first["users"][name]) is None
    for name, client in second["clients"].items():
        if client["client_secret"] is not None:
            row = application(name)
            assert toolkit.secret_matches(row, client["client_secret"])
            assert not toolkit.secret_matches(row, first["clients"][name]["client_secret"])


def test_seed_when_the_database_was_lost_then_the_same_credentials_are_set_again():
    first = seeded()
    get_user_model().objects.all().delete()
    toolkit.application_model().objects.all().delete()
    ResourceServer.objects.all().delete()
    assert seeded() == first
    assert authenticate(**first["users"]["alice"]) is not None
    assert toolkit.secret_matches(application("cron"), first["clients"]["cron"]["client_secret"])


def test_seed_when_rows_drifted_then_they_are_brought_back_and_that_is_recorded():
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
    # That alice was disabled and enabled is an event of her own
    since = AuditEvent.objects.order_by("id")[events:]
    new = [event for event in since if not event.event.startswith("user.")]
    assert {
        (event.event, event.client_id_value): sorted(event.details["fields"]) for event in new
    } == {
        ("resource_server.changed", ""): ["active"],
        ("client.changed", "web"): [
            "clientpolicy.audiences",
            "clientpolicy.enabled",
            "clientpolicy.scopes",
        ],
        ("client.changed", "cron"): ["client_secret"],
    }


def test_seed_when_a_client_was_stopped_then_it_may_start_again():
    world = seeded()
    cron = App(application("cron"), world["clients"]["cron"]["client_secret"])
    story = Story(None)
    assert story.client_credentials(cron).status_code == 200
    operator = audit.RequestContext(actor="user:1")
    revocation.subtree(Delegation.objects.get(), operator, reason="noisy")
    assert story.client_credentials(cron).json()["error"] == "unauthorized_client"
    seeded()
    assert story.client_credentials(cron).status_code == 200


def test_seed_when_a_name_is_new_then_the_others_keep_theirs(path):
    first = seeded()
    stored = json.loads(path.read_text())
    del stored["users"]["bob"], stored["clients"]["cron"]
    path.write_text(json.dumps(stored))
    second = seeded()
    assert second["users"]["bob"] != first["users"]["bob"]
    assert second["clients"]["cron"] != first["clients"]["cron"]
    for kind, name in (("users", "bob"), ("clients", "cron")):
        del first[kind][name], second[kind][name]
    assert first == second


# When it can't be done


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"users": {"alice": 1}, "clients": {}}'])
def test_seed_when_the_file_is_damaged_then_it_says_so_and_leaves_it(path, text):
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(CommandError, match="is damaged; delete it"):
        seed_demo("--json")
    assert path.read_text() == text
    assert not get_user_model().objects.exists()


def test_seed_when_there_are_no_tables_then_it_says_what_to_do(monkeypatch):
    def fail(_credentials):
        raise OperationalError("no such table: auth_user")

    monkeypatch.setattr(rows, "bring", fail)
    with pytest.raises(CommandError, match="Run migrate first: no such table"):
        seed_demo("--json")


def test_seed_when_it_fails_half_way_then_nothing_is_left(monkeypatch):
    def fail(*_arguments):
        raise OperationalError("gone")

    monkeypatch.setattr(rows, "_seed_client", fail)
    with pytest.raises(CommandError):
        seed_demo("--json")
    assert not get_user_model().objects.exists()
    assert not ResourceServer.objects.exists()
