"""The people who come to the admin, and where its pages are."""

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.urls import reverse

from tests.support import SecureClient

ROLES = ("anonymous", "staff", "auditor", "operator", "superuser")


def page(model, name, *args, app="delegation_app"):
    return reverse(f"admin:{app}_{model}_{name}", args=args)


def person(role):
    """Somebody of that role, new."""
    users = get_user_model().objects
    if role == "superuser":
        return users.create_superuser(role)
    user = users.create_user(role, is_staff=True)
    permissions = Permission.objects.filter(
        content_type__app_label__in=("delegation_app", "oauth2_provider", "auth")
    )
    if role == "operator":
        user.user_permissions.set(permissions)
    if role == "auditor":
        user.user_permissions.set(permissions.filter(codename__startswith="view_"))
    return user


def browser(role):
    """A browser in which somebody of that role is signed in."""
    client = SecureClient()
    if role != "anonymous":
        client.force_login(person(role))
    return client


@pytest.fixture
def operator(db):
    return browser("operator")


@pytest.fixture
def auditor(db):
    return browser("auditor")
