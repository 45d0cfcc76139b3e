"""The checks of SECOND_OPERATOR."""

import pytest
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.core.checks import run_checks
from django.test import override_settings
from django.urls import include, path

from delegation_app import toolkit
from delegation_app.admin.clients import admin as client_admin
from delegation_app.checks import second_operator
from delegation_app.models import ClientPolicy

pytestmark = pytest.mark.any_database

OURS = {f"delegation_app.{number}" for number in ("E037", "E038", "W037", "W038")}

urlpatterns = [
    path("", include("example_project.urls")),
    path("o/", include("oauth2_provider.urls", namespace="oauth2_provider")),
]


def found():
    messages = run_checks(databases=["default"])
    return sorted(m.id.removeprefix("delegation_app.") for m in messages if m.id in OURS)


@pytest.fixture
def configure(settings):
    def change(value):
        settings.DELEGATION = {**settings.DELEGATION, "SECOND_OPERATOR": value}

    return change


@pytest.fixture
def site():
    made = admin.AdminSite(name="another")
    yield made
    # Django keeps a weak reference only, but a failed test may hold a strong one
    admin.sites.all_sites.discard(made)


def operator(name, **columns):
    user = get_user_model().objects.create_user(name, is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="decide_proposedchange"))
    get_user_model().objects.filter(pk=user.pk).update(**columns)


@pytest.mark.django_db
@pytest.mark.parametrize("value", ["no", "True", 0, 1, None, ()])
def test_check_when_the_setting_is_neither_true_nor_false_then_e037(configure, value):
    configure(value)
    assert "E037" in found()


@pytest.mark.django_db
def test_check_when_it_is_off_then_nothing_is_said(configure, site):
    site.register(toolkit.application_model())
    configure(False)
    with override_settings(ROOT_URLCONF=__name__):
        assert found() == []


@pytest.mark.django_db
@pytest.mark.parametrize(
    "operators",
    [
        {},
        {"one": {}},
        {"one": {}, "two": {"is_active": False}},
        {"one": {}, "two": {"is_staff": False}},
    ],
)
def test_check_when_fewer_than_two_may_decide_then_w037(configure, operators):
    configure(True)
    for name, columns in operators.items():
        operator(name, **columns)
    assert found() == ["W037"]


@pytest.mark.django_db
def test_check_when_two_may_decide_then_nothing_is_said(configure):
    configure(True)
    operator("one")
    get_user_model().objects.create_superuser("two")
    assert found() == []


def test_check_when_there_is_no_database_then_it_says_nothing(configure):
    """Not marked `django_db`, so that a statement raises."""
    configure(True)
    assert second_operator.check_second_operator() == []


@pytest.mark.django_db
@pytest.mark.parametrize("model", [toolkit.application_model, lambda: ClientPolicy])
def test_check_when_another_admin_site_changes_clients_then_e038(configure, site, model):
    configure(True)
    operator("one")
    operator("two")
    site.register(model())
    assert found() == ["E038"]


@pytest.mark.django_db
def test_check_when_another_admin_site_was_extended_then_nothing_is_said(configure, site):
    configure(True)
    operator("one")
    operator("two")
    site.register(toolkit.application_model())
    client_admin.extend(site)
    assert found() == []


@pytest.mark.django_db
def test_check_when_the_pages_of_the_toolkit_are_mounted_then_w038(configure):
    configure(True)
    operator("one")
    operator("two")
    with override_settings(ROOT_URLCONF=__name__):
        assert found() == ["W038", "W038"]
