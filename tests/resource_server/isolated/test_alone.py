"""What is not there: tables, accounts, the authorization server."""

import subprocess
import sys

import pytest
from django.apps import apps
from django.conf import settings
from django.core.management import call_command
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import Client

from delegation_app.resource_server.permissions import RequireScopes

METADATA = "/.well-known/oauth-protected-resource"


def test_process_when_it_is_a_resource_server():
    # Some versions of Django put one there that does nothing
    engines = {database["ENGINE"] for database in settings.DATABASES.values()}
    assert engines <= {"django.db.backends.dummy"}
    assert list(apps.get_models()) == []
    assert {config.label for config in apps.get_app_configs()} == {
        "rest_framework",
        "delegation_resource_server",
    }


def test_process_when_a_request_is_answered(service):
    view = service.view(RequireScopes("read:metrics"))
    assert service.ask(view, service.issuer.token()).status_code == 200
    assert Client().get(METADATA).status_code == 200

    server = ("models", "services", "grants", "views", "admin", "conf", "toolkit")
    loaded = {name for name in sys.modules if name.startswith("delegation_app.")}
    assert "delegation_app.resource_server.authentication" in loaded
    assert not {name for name in loaded if name.split(".")[1] in server}
    assert "oauth2_provider" not in sys.modules
    assert "django.contrib.auth.models" not in sys.modules


def test_process_when_it_answers(service, monkeypatch):
    def no_connection(*_arguments):
        raise AssertionError("it asked for a database")

    # Some versions of the REST framework look at the handle of each database, which opens nothing
    for way in ("connect", "ensure_connection", "cursor"):
        monkeypatch.setattr(BaseDatabaseWrapper, way, no_connection)

    view = service.view(RequireScopes("read:metrics"))
    assert service.ask(view, service.issuer.token()).status_code == 200
    assert service.ask(view, service.issuer.token(scope="x")).status_code == 403
    assert service.ask(view).status_code == 401


def test_check_when_all_is_well(capsys):
    call_command("check", "--fail-level=WARNING")
    assert "no issues" in capsys.readouterr().out


@pytest.mark.parametrize("own", ["{}", "{'ISSUER': 'https://as.example.com'}", "{'AUDIENCE': ''}"])
def test_process_when_it_has_no_audience(own):
    code = f"""
import django
from django.conf import settings
settings.configure(
    DATABASES={{}}, INSTALLED_APPS=["delegation_app.resource_server"],
    DELEGATION_RESOURCE_SERVER={own},
)
django.setup()
"""
    process = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )

    assert process.returncode == 1
    assert 'ImproperlyConfigured: DELEGATION_RESOURCE_SERVER["AUDIENCE"]' in process.stderr


@pytest.mark.parametrize(
    "module",
    [
        "delegation_app.resource_server",
        "delegation_app.resource_server.challenge",
        "delegation_app.protocol.requests.bearer",
    ],
)
def test_module_when_it_needs_no_django(module):
    code = f"import {module}, sys; sys.exit('django' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
