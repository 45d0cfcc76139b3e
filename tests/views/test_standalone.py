"""What a site does around every view, it does not do around ours."""

import pytest
from django.contrib import admin
from django.db import connections
from django.urls import resolve, reverse
from django.urls.exceptions import NoReverseMatch

from delegation_app.admin.base import ReadOnlyAdmin
from delegation_app.resource_server.decorators import require_token
from delegation_app.resource_server.metadata import ProtectedResourceMetadata
from delegation_app.urls import urlpatterns
from delegation_app.views import standalone

DEEDS = [
    f"{model._meta.app_label}_{model._meta.model_name}_{name}"
    for model, registered in admin.site._registry.items()
    if isinstance(registered, ReadOnlyAdmin) and model._meta.model_name != "auditevent"
    for name in registered.deed_pages
]
OF_CLIENTS = [
    "oauth2_provider_application_new_secret",
    "oauth2_provider_application_end_former_secret",
]


def address(name):
    for arguments in ([], ["1"], ["1", "both"]):
        try:
            return reverse(f"admin:{name}", args=arguments)
        except NoReverseMatch:
            continue
    raise AssertionError(name)


@pytest.mark.parametrize("pattern", urlpatterns, ids=lambda pattern: pattern.name)
def test_endpoint_when_a_site_wraps_views(pattern):
    # LoginRequiredMiddleware, ATOMIC_REQUESTS
    assert pattern.callback.login_required is False
    assert pattern.callback._non_atomic_requests == set(connections)


@pytest.mark.parametrize("name", [*DEEDS, *OF_CLIENTS])
def test_deed_when_requests_are_atomic(name):
    assert resolve(address(name)).func._non_atomic_requests == set(connections)


def test_transactions_when_there_are_several_databases(monkeypatch):
    monkeypatch.setattr(standalone, "connections", ["default", "identity", "replica"])

    view = standalone.own_transactions(lambda request: request)

    assert view._non_atomic_requests == {"default", "identity", "replica"}


def test_service_when_a_site_wants_a_login_everywhere():
    assert ProtectedResourceMetadata.as_view().login_required is False
    assert require_token("read:metrics")(lambda request: request).login_required is False
