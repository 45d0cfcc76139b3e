"""The page of an application: its policy, its secret, its deletion."""

import subprocess
import sys
from pathlib import Path

import pytest
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import check_password

from delegation_app import toolkit
from delegation_app.admin.clients import admin as client_admin
from delegation_app.models import AuditEvent, ClientPolicy, ConsentRecord, Delegation
from delegation_app.protocol import names
from tests.admin.conftest import page
from tests.support.world import SERVICE_A, delegation_of

pytestmark = pytest.mark.compat

ROOT = Path(__file__).resolve().parents[2]
LIST = "/admin/oauth2_provider/application/"
GRANT = "authorization_grant_type"


def change_page(row):
    return page("application", "change", row.pk, app="oauth2_provider")


def text_of(response):
    return " ".join(response.content.decode().split())


def filled_in(client, url):
    """The fields of a change form as a browser would send them back."""
    context = client.get(url).context
    forms = [context["adminform"].form]
    data = {}
    for inline in context["inline_admin_formsets"]:
        forms += [inline.formset.management_form, *inline.formset.forms]
    for form in forms:
        for bound in form:
            value = bound.value()
            if value is None or value is False:
                continue
            data[bound.html_name] = "on" if value is True else bound.field.prepare_value(value)
            if bound.field.show_hidden_initial:
                data[bound.html_initial_name] = value
    return data


def changes():
    return list(AuditEvent.objects.filter(event="client.changed").order_by("pk"))


def test_policy_when_changed_then_there_is_one_event_with_the_names_of_the_fields(world, operator):
    url = change_page(world.web.row)
    data = filled_in(operator, url) | {
        "name": "Web 2",
        "delegation_policy-0-scopes": "read:metrics",
        "delegation_policy-0-grants": [names.AUTHORIZATION_CODE],
        "delegation_policy-0-access_token_lifetime": "120",
    }
    response = operator.post(url, data)
    assert response.status_code == 302, response.context["errors"]
    policy = world.web.policy
    assert str(policy.scopes) == "read:metrics"
    assert policy.grants == [names.AUTHORIZATION_CODE]
    [event] = changes()
    assert event.actor == f"user:{operator.session['_auth_user_id']}"
    assert event.client_id_value == "web"
    assert event.details["change"] == "changed"
    assert sorted(event.details["fields"]) == [
        "clientpolicy.access_token_lifetime",
        "clientpolicy.grants",
        "clientpolicy.scopes",
        "name",
    ]


def test_policy_when_saved_without_a_change_then_nothing_is_recorded(world, operator):
    # The example project does not allow the mobile app's own redirect scheme to be saved.
    for app in (app for name, app in world.apps.items() if name != "mobile"):
        before = ClientPolicy.objects.filter(application=app.row).values().get()
        secret = app.row.client_secret
        response = operator.post(change_page(app.row), filled_in(operator, change_page(app.row)))
        assert response.status_code == 302, response.context["errors"]
        assert ClientPolicy.objects.filter(application=app.row).values().get() == before
        app.row.refresh_from_db()
        assert app.row.client_secret == secret
    assert changes() == []


def test_policy_when_the_client_is_disabled_then_its_tokens_stop(story, operator):
    tokens = story.tokens()
    url = change_page(story.world.web.row)
    data = filled_in(operator, url)
    del data["delegation_policy-0-enabled"]
    assert operator.post(url, data).status_code == 302
    assert not story.is_active(tokens["access_token"])
    assert changes()[0].details["fields"] == ["clientpolicy.enabled"]


def test_policy_when_a_stored_grant_type_is_unknown_then_it_is_not_lost(world, operator):
    world.web.change(grants=["urn:example:own", names.AUTHORIZATION_CODE])
    url = change_page(world.web.row)
    data = filled_in(operator, url)
    data["delegation_policy-0-always_prompt"] = "on"
    assert operator.post(url, data).status_code == 302
    assert set(world.web.policy.grants) == {"urn:example:own", names.AUTHORIZATION_CODE}


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("scopes", "read:metrics read:nothing", "Unknown scope: read:nothing."),
        ("scopes", 'read:metrics "quoted"', "Unknown scope:"),
        ("scopes", "read:metrics a\x00b", "Null characters are not allowed."),
        ("access_token_lifetime", "0", "greater than or equal to 1"),
        ("delegation_lifetime", "-1", "greater than or equal to 1"),
        ("access_token_lifetime", "9" * 30, "less than or equal to"),
        ("grants", ["made-up"], "made-up is not one of the available choices."),
    ],
)
def test_policy_when_a_value_is_bad_then_the_page_says_so(world, operator, field, value, message):
    url = change_page(world.web.row)
    data = filled_in(operator, url) | {f"delegation_policy-0-{field}": value}
    response = operator.post(url, data)
    assert response.status_code == 200
    assert message in text_of(response)
    assert changes() == []


def test_policy_when_the_default_is_no_audience_of_the_client_then_the_page_says_so(
    world, operator
):
    url = change_page(world.other.row)
    data = filled_in(operator, url)
    data["delegation_policy-0-default_audience"] = world.service_b.pk
    assert "Select one of its audiences." in text_of(operator.post(url, data))


@pytest.fixture
def bare(world):
    """A client without a policy."""
    ClientPolicy.objects.filter(application=world.web.row).delete()
    return world.web.row


def test_new_policy_when_shown_then_it_has_the_derived_values(settings, bare, world, operator):
    settings.DELEGATION = {**settings.DELEGATION, "DEFAULT_AUDIENCE": SERVICE_A}
    data = filled_in(operator, change_page(bare))
    assert data["delegation_policy-0-grants"] == [names.AUTHORIZATION_CODE, names.REFRESH_TOKEN]
    assert data["delegation_policy-0-scopes"].split() == sorted(toolkit.all_scopes())
    assert data["delegation_policy-0-audiences"] == [world.service_a.pk]
    assert data["delegation_policy-0-enabled"] == "on"


def test_new_policy_when_shown_then_the_page_says_that_none_is_stored(bare, world, operator):
    said = "This client has no stored policy."
    assert said in text_of(operator.get(change_page(bare)))
    assert said not in text_of(operator.get(change_page(world.mobile.row)))


def grant_types(response):
    choices = response.context["adminform"].form.fields[GRANT].choices
    return {value for value, _label in choices if value}


def test_client_when_it_is_edited_then_only_grant_types_that_are_served_are_offered(
    world, operator
):
    served = {"authorization-code", "client-credentials", names.DEVICE_CODE}
    address = page("application", "add", app="oauth2_provider")
    assert grant_types(operator.get(address)) == served
    assert grant_types(operator.get(change_page(world.web.row))) == served
    # What is stored is not lost
    type(world.web.row).objects.filter(pk=world.web.row.pk).update(**{GRANT: "implicit"})
    assert grant_types(operator.get(change_page(world.web.row))) == {*served, "implicit"}


def test_new_policy_when_nothing_is_changed_then_none_is_stored(bare, operator):
    assert (
        operator.post(change_page(bare), filled_in(operator, change_page(bare))).status_code == 302
    )
    assert not ClientPolicy.objects.filter(application=bare).exists()
    assert changes() == []


def test_new_policy_when_something_is_changed_then_it_is_stored_with_the_rest(bare, operator):
    data = filled_in(operator, change_page(bare)) | {"delegation_policy-0-always_prompt": "on"}
    assert operator.post(change_page(bare), data).status_code == 302
    policy = ClientPolicy.objects.get(application=bare)
    assert policy.always_prompt
    assert policy.enabled
    assert policy.grants == [names.AUTHORIZATION_CODE, names.REFRESH_TOKEN]
    assert changes()[0].details["fields"] == ["clientpolicy.always_prompt"]


def test_application_when_added_then_its_policy_comes_next_and_one_event(world, operator):
    data = filled_in(operator, page("application", "add", app="oauth2_provider")) | {
        "name": "New",
        "client_id": "new",
        "client_secret": "a-new-secret-of-good-length",
        "client_type": "confidential",
        "authorization_grant_type": "client-credentials",
    }
    response = operator.post(page("application", "add", app="oauth2_provider"), data)
    row = toolkit.application_model().objects.get(client_id="new")
    assert response["Location"] == change_page(row)
    assert "a-new-secret-of-good-length" not in text_of(operator.get(change_page(row)))
    [event] = changes()
    assert event.details["change"] == "added"
    assert "a-new-secret-of-good-length" not in str(event.details)


def test_secret_when_a_new_one_is_entered_then_it_replaces_the_old_and_is_not_recorded(
    world, operator
):
    url = change_page(world.web.row)
    data = filled_in(operator, url)
    assert data["client_secret"] == ""
    data["client_secret"] = "another-secret-of-good-length"
    assert operator.post(url, data).status_code == 302
    world.web.row.refresh_from_db()
    assert check_password("another-secret-of-good-length", world.web.row.client_secret)
    [event] = changes()
    assert event.details == {"change": "changed", "fields": ["client_secret"]}


@pytest.mark.parametrize("secret", ["a", "x" * 15])
@pytest.mark.parametrize("page_of", ["add", "change"])
def test_secret_when_it_is_shorter_than_16_characters_then_it_is_refused_with_a_way_out(
    world, operator, secret, page_of
):
    add = page("application", "add", app="oauth2_provider")
    url = add if page_of == "add" else change_page(world.web.row)
    for length, refused in ((len(secret), True), (16, False)):
        data = {
            **filled_in(operator, url),
            "client_secret": secret.ljust(length, "y"),
            "client_type": "confidential",
            "authorization_grant_type": "client-credentials",
        }
        answer = operator.post(url, data)
        assert answer.status_code == (200 if refused else 302)
        if refused:
            text = text_of(answer)
            assert "Use at least 16 characters" in text
            assert "New secret" in text


def test_secret_when_left_empty_then_it_is_kept_whatever_its_length(world, operator):
    world.web.row.client_secret = "short"
    world.web.row.save()
    stored, url = world.web.row.client_secret, change_page(world.web.row)
    assert operator.post(url, filled_in(operator, url)).status_code == 302
    world.web.row.refresh_from_db()
    assert world.web.row.client_secret == stored


def test_application_when_its_own_page_is_not_mounted_then_there_is_no_link_to_it(world, operator):
    assert "viewsitelink" not in text_of(operator.get(change_page(world.web.row)))


def test_application_when_deleted_then_what_it_held_is_revoked_by_the_operator(story, operator):
    world = story.world
    tokens = story.tokens()
    delegation = delegation_of(tokens)
    url = page("application", "delete", world.web.row.pk, app="oauth2_provider")
    question = operator.get(url)
    assert question.context["protected"] == []
    assert question.context["perms_lacking"] == set()

    assert operator.post(url, {"post": "yes"}).status_code == 302
    delegation.refresh_from_db()
    user = operator.session["_auth_user_id"]
    assert delegation.delegate is None
    assert delegation.delegate_client_id == "web"
    assert delegation.revoked_by == f"user:{user}"
    assert not story.is_active(tokens["access_token"])
    assert changes()[0].details["change"] == "deleted"
    assert AuditEvent.objects.filter(event="delegation.revoked").count() == 1
    for name in ("change", "revoke"):
        shown = operator.get(page("delegation", name, delegation.pk), follow=True)
        assert "alice" in text_of(shown)
    assert operator.get(page("consentrecord", "change", delegation.consent_id)).status_code == 200


def test_applications_when_deleted_in_bulk_then_the_same_holds(story, operator):
    world = story.world
    story.tokens()
    story.client_credentials()
    keys = [world.web.row.pk, world.cron.row.pk]
    data = {"action": "delete_selected", "_selected_action": keys, "post": "yes"}
    assert operator.post(LIST, data).status_code == 302
    assert not toolkit.application_model().objects.filter(pk__in=keys).exists()
    assert Delegation.objects.filter(revoked_at=None).count() == 0
    assert len(changes()) == 2


def test_user_when_deleted_then_what_they_granted_is_revoked(story, operator):
    tokens = story.tokens()
    delegation = delegation_of(tokens)
    alice = story.world.alice
    url = page("user", "delete", alice.pk, app="auth")
    question = operator.get(url)
    assert question.context["protected"] == []
    assert question.context["perms_lacking"] == set()
    assert operator.post(url, {"post": "yes"}).status_code == 302
    assert not get_user_model().objects.filter(username="alice").exists()
    delegation.refresh_from_db()
    assert delegation.revoked_at is not None
    assert delegation.subject == f"user:{alice.pk}"
    assert ConsentRecord.objects.get().subject == f"user:{alice.pk}"
    assert not story.is_active(tokens["access_token"])
    assert delegation.subject in text_of(operator.get(page("delegation", "change", delegation.pk)))


def test_extend_when_called_again_then_nothing_changes():
    model = toolkit.application_model()
    before = admin.site.get_model_admin(model)
    client_admin.extend()
    assert admin.site.get_model_admin(model) is before


def test_extend_when_a_site_has_no_applications_then_it_stays_so():
    site = admin.AdminSite()
    client_admin.extend(site)
    assert not site.is_registered(toolkit.application_model())


def test_extend_when_a_site_has_its_own_class_then_it_gets_policies_too(rf, django_user_model):
    class Own(admin.ModelAdmin):
        list_display = ("client_id",)

    model = toolkit.application_model()
    site = admin.AdminSite()
    site.register(model, Own, ordering=("name",))
    client_admin.extend(site)
    extended = site.get_model_admin(model)
    assert isinstance(extended, Own)
    assert extended.list_display == ("client_id",)
    assert extended.ordering == ("name",)
    assert client_admin.PolicyInline in extended.get_inlines(rf.get("/"), model(pk=1))


ORDERS = {
    "delegation before toolkit": ["django.contrib.admin", "delegation_app", "oauth2_provider"],
    "delegation before admin": ["delegation_app", "django.contrib.admin", "oauth2_provider"],
    "toolkit before admin": ["oauth2_provider", "django.contrib.admin", "delegation_app"],
    "admin last": ["oauth2_provider", "delegation_app", "django.contrib.admin"],
    "site registers anew": ["django.contrib.admin", "oauth2_provider", "shop", "delegation_app"],
    "site before all": ["django.contrib.admin", "shop", "oauth2_provider", "delegation_app"],
    "site after all": ["django.contrib.admin", "oauth2_provider", "delegation_app", "shop"],
}

SETTINGS = """
from tests.settings import *
ORDER = {order!r}
INSTALLED_APPS = [app for app in INSTALLED_APPS if app not in ORDER] + ORDER
"""

SHOP_ADMIN = """
from django.contrib import admin
from oauth2_provider.models import get_application_model
from oauth2_provider.admin import ApplicationAdmin

class ShopAdmin(ApplicationAdmin):
    pass

if admin.site.is_registered(get_application_model()):
    admin.site.unregister(get_application_model())
admin.site.register(get_application_model(), ShopAdmin)
"""

ASK = """
import django
django.setup()
from django.contrib import admin
from django.core.management import call_command
from delegation_app import toolkit
from delegation_app.admin.clients.admin import WithPolicy
found = type(admin.site.get_model_admin(toolkit.application_model()))
call_command("check")
print(found.__name__, issubclass(found, WithPolicy))
"""


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
def test_policies_when_apps_stand_in_any_order_then_they_are_on_the_page(tmp_path, order):
    (tmp_path / "ordered_settings.py").write_text(SETTINGS.format(order=order))
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__init__.py").touch()
    (tmp_path / "shop" / "admin.py").write_text(SHOP_ADMIN)
    done = subprocess.run(
        [sys.executable, "-c", ASK],
        cwd=ROOT,
        env={
            "DJANGO_SETTINGS_MODULE": "ordered_settings",
            "PYTHONPATH": f"{tmp_path}:{ROOT}",
            "PATH": "/usr/bin:/bin",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    expected = "ShopAdmin True" if "shop" in order else "ApplicationAdmin True"
    assert done.stdout.splitlines()[-1] == expected
