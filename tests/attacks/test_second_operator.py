"""One operator who tries to widen something alone, and others who try to decide it."""

import pytest
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import IntegrityError, transaction

from delegation_app import toolkit
from delegation_app.models import AuditEvent, ClientLogo, ClientPolicy, ProposedChange
from tests.admin.conftest import browser, events, page, text_of
from tests.admin.test_clients import filled_in
from tests.admin.test_consent_review import PNG
from tests.admin.test_policy import PREFIX, save, url_of
from tests.support import SecureClient

DEEDS = ("approve", "reject", "withdraw")


@pytest.fixture(autouse=True)
def _two_operators(settings):
    settings.DELEGATION = {**settings.DELEGATION, "SECOND_OPERATOR": True}


@pytest.fixture
def operator(db):
    return browser("operator")


@pytest.fixture
def second(db):
    return browser("superuser")


@pytest.fixture
def waiting(world, operator, second):
    """A proposal of the operator: web shall impersonate."""
    save(operator, world.web, may_impersonate="on")
    return ProposedChange.objects.get()


def address(name, row):
    return page("proposedchange", name, row.pk)


def is_untouched(world, waiting):
    waiting.refresh_from_db()
    return waiting.state == "pending" and not world.web.policy.may_impersonate


@pytest.mark.parametrize("name", DEEDS)
@pytest.mark.parametrize("method", ["get", "head", "put", "patch", "delete", "options"])
def test_decision_when_it_is_no_post(world, waiting, name, method):
    client = SecureClient()
    role = "operator" if name == "withdraw" else "superuser"
    client.force_login(get_user_model().objects.get(username=role))
    response = getattr(client, method)(f"{address(name, waiting)}?reason=x")
    assert response.status_code == (200 if method in {"get", "head"} else 405)
    assert is_untouched(world, waiting)


@pytest.mark.parametrize("name", ["approve", "reject"])
@pytest.mark.parametrize(
    "permissions",
    [
        (),
        ("view_proposedchange",),
        ("decide_proposedchange",),
        ("view_proposedchange", "change_clientpolicy", "change_application"),
    ],
)
def test_decision_when_the_permission_is_missing(world, waiting, name, permissions):
    user = get_user_model().objects.create_user("somebody", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = SecureClient()
    client.force_login(user)
    assert client.post(address(name, waiting), {"reason": "x"}).status_code == 403
    assert is_untouched(world, waiting)


@pytest.mark.parametrize("role", ["operator", "superuser"])
def test_decision_when_it_is_ones_own(world, role):
    first = browser(role)
    save(first, world.web, may_impersonate="on")
    waiting = ProposedChange.objects.get()
    again = SecureClient()
    again.force_login(get_user_model().objects.get(username=role))
    for client in (first, again):
        for name in ("approve", "reject"):
            response = client.post(address(name, waiting), {"reason": "x"}, follow=True)
            assert "Another operator must decide" in text_of(response)
    assert is_untouched(world, waiting)


def test_decision_when_a_script_writes_the_same_name_twice(waiting):
    mine = {"state": "approved", "decided_by": waiting.proposed_by}
    rows = ProposedChange.objects.filter(pk=waiting.pk)
    with pytest.raises(IntegrityError), transaction.atomic():
        rows.update(**mine, decided_at=waiting.proposed_at)


def test_decision_when_it_carries_fields_and_files(world, waiting, operator, second):
    form = filled_in(operator, url_of(world.web)) | {
        "reason": "x",
        "skip_authorization": "on",
        f"{PREFIX}may_introspect_all": "on",
        f"{PREFIX}logo_file": SimpleUploadedFile("logo.png", PNG, "image/png"),
        "posted": '{"skip_authorization": ["on"]}',
        "after": '{"skip_authorization": true}',
    }
    second.post(address("approve", waiting), form)
    policy = world.web.policy
    world.web.row.refresh_from_db()
    assert policy.may_impersonate
    assert not policy.may_introspect_all
    assert not world.web.row.skip_authorization
    assert ClientLogo.objects.count() == 0


def test_decision_when_the_stored_form_says_something_else(world, waiting, second):
    """What both operators saw is what applies, whatever else was written into the row."""
    posted = waiting.posted | {f"{PREFIX}may_introspect_all": ["on"]}
    ProposedChange.objects.filter(pk=waiting.pk).update(posted=posted)
    second.post(address("approve", waiting), {"reason": "x"})
    waiting.refresh_from_db()
    assert waiting.state == "stale"
    assert not world.web.policy.may_impersonate
    assert not world.web.policy.may_introspect_all


def test_decision_when_the_client_was_deleted(world, waiting, second):
    world.web.row.delete()
    response = second.post(address("approve", waiting), {"reason": "x"}, follow=True)
    assert "The record no longer exists." in text_of(response)
    assert "Deleted." in text_of(response)
    waiting.refresh_from_db()
    assert waiting.state == "stale"


def test_decision_when_the_client_id_was_taken_meanwhile(world, operator, second):
    url = "/admin/oauth2_provider/application/add/"
    data = filled_in(operator, url) | {
        "client_id": "new",
        "client_type": "confidential",
        "authorization_grant_type": "client-credentials",
    }
    operator.post(url, data)
    waiting = ProposedChange.objects.get()
    toolkit.application_model().objects.create(client_id="new", name="Another")
    second.post(address("approve", waiting), {"reason": "x"})
    waiting.refresh_from_db()
    assert waiting.state == "stale"
    assert toolkit.application_model().objects.get(client_id="new").name == "Another"


@pytest.mark.parametrize(
    "loses",
    [
        lambda user: user.user_permissions.clear(),
        lambda user: user.user_permissions.remove(
            Permission.objects.get(codename="change_application")
        ),
        lambda user: user.user_permissions.remove(
            Permission.objects.get(codename="change_clientpolicy")
        ),
        lambda user: type(user).objects.filter(pk=user.pk).update(is_staff=False),
        lambda user: type(user).objects.filter(pk=user.pk).update(is_active=False),
        lambda user: user.delete(),
    ],
    ids=["all", "of clients", "of policies", "staff", "active", "account"],
)
def test_decision_when_the_proposer_lost_the_right(world, waiting, second, loses):
    loses(get_user_model().objects.get(username="operator"))
    second.post(address("approve", waiting), {"reason": "x"})
    waiting.refresh_from_db()
    assert waiting.state == "stale"
    assert not world.web.policy.may_impersonate
    assert events("client.changed") == []


def test_decision_when_the_second_operator_cannot_change_clients(world, waiting):
    user = get_user_model().objects.create_user("reviewer", is_staff=True)
    codenames = ("view_proposedchange", "decide_proposedchange")
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client = SecureClient()
    client.force_login(user)
    client.post(address("approve", waiting), {"reason": "x"})
    assert world.web.policy.may_impersonate


@pytest.mark.parametrize("key", ["4711", "nobody", "9" * 30, "a\x00b", "-1"])
@pytest.mark.parametrize("name", DEEDS)
def test_decision_when_there_is_no_such_proposal(second, name, key):
    assert second.get(page("proposedchange", name, key)).status_code == 404
    assert second.post(page("proposedchange", name, key), {"reason": "x"}).status_code == 404


def test_save_when_what_is_posted_has_a_nul(world, operator, second):
    data = filled_in(operator, url_of(world.web))
    data |= {
        f"{PREFIX}may_impersonate": "o\x00n",
        "made\x00up": "\x00",
        "second_operator_reason": "\x00",
    }
    assert operator.post(url_of(world.web), data).status_code == 302
    waiting = ProposedChange.objects.get()
    second.post(address("approve", waiting), {"reason": "x"})
    assert world.web.policy.may_impersonate


def test_reason_when_it_is_hostile(world, operator):
    text = "<script>alert(1)</script>\r\n\x1b[31m" + "x" * 400
    save(operator, world.web, may_impersonate="on")
    data = filled_in(operator, url_of(world.web)) | {"second_operator_reason": text}
    data[f"{PREFIX}may_introspect_all"] = "on"
    operator.post(url_of(world.web), data)
    waiting = ProposedChange.objects.latest("pk")
    assert len(waiting.reason) == 255
    assert not {"\n", "\r", "\x1b"} & set(waiting.reason)
    for name in ("change", "withdraw"):
        assert "<script>alert" not in operator.get(address(name, waiting)).content.decode()


def test_save_when_it_comes_as_a_new_client(world, operator):
    data = filled_in(operator, url_of(world.web)) | {"_saveasnew": "1", "client_id": "copy"}
    data["client_secret"] = "a-secret-of-good-length"
    operator.post(url_of(world.web), data)
    assert not toolkit.application_model().objects.filter(client_id="copy").exists()


def test_client_when_deleted_and_added_again(world, operator):
    url = page("application", "delete", world.cron.row.pk, app="oauth2_provider")
    assert operator.post(url, {"post": "yes"}).status_code == 302
    add = "/admin/oauth2_provider/application/add/"
    data = filled_in(operator, add) | {
        "client_id": "cron",
        "client_type": "confidential",
        "authorization_grant_type": "client-credentials",
    }
    operator.post(add, data)
    assert not toolkit.application_model().objects.filter(client_id="cron").exists()


def test_list_when_a_site_makes_it_editable(world, operator, monkeypatch):
    page_of_clients = admin.site.get_model_admin(toolkit.application_model())
    monkeypatch.setattr(page_of_clients, "list_display", ("client_id", "skip_authorization"))
    monkeypatch.setattr(page_of_clients, "list_editable", ("skip_authorization",))
    url = f"/admin/oauth2_provider/application/?client_id={world.web.client_id}"
    monkeypatch.setattr(page_of_clients, "list_filter", ("client_id",))
    formset = operator.get(url).context["cl"].formset
    data = {f"form-{name}": value for name, value in formset.management_form.initial.items()}
    data |= {"form-0-id": world.web.row.pk, "_save": "Save"}
    assert operator.post(url, data | {"form-0-skip_authorization": "on"}).status_code == 403
    world.web.row.refresh_from_db()
    assert not world.web.row.skip_authorization
    # What takes away applies, and is recorded
    toolkit.application_model().objects.update(skip_authorization=True)
    assert operator.post(url, data).status_code == 302
    world.web.row.refresh_from_db()
    assert not world.web.row.skip_authorization
    [event] = events("client.changed")
    assert event.details["before"] == {"skip_authorization": True}


def test_trail_when_a_proposal_is_stale(world, waiting, second):
    ClientPolicy.objects.filter(pk=world.web.row.pk).update(may_impersonate=True)
    second.post(address("approve", waiting), {"reason": "x"})
    names = AuditEvent.objects.filter(event__startswith="change.").values_list("event", flat=True)
    assert sorted(names) == ["change.proposed", "change.stale"]
