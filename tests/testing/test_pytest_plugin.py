"""The fixtures, and what importing the package costs."""

import subprocess
import sys

import pytest
from rest_framework.test import APIClient

from delegation_app.models import SigningKey
from delegation_app.resource_server.authentication import BearerAuthentication
from delegation_app.services import signing_keys
from delegation_app.services.tokens import local_verifier
from delegation_app.services.tokens.local_verifier import LocalVerifier
from delegation_app.testing import factories
from tests.testing import views

pytestmark = pytest.mark.compat

SET_UP = (
    "import os; os.environ['DJANGO_SETTINGS_MODULE'] = 'tests.resource_server.settings';"
    "import django; django.setup();"
)


@pytest.fixture
def resource_server(settings):
    settings.DELEGATION_RESOURCE_SERVER = {
        "ISSUER": "https://auth.example.com",
        "AUDIENCE": "https://service-a.example.com",
    }


@pytest.mark.urls("tests.testing.views")
def test_fake_issuer_when_it_revokes_then_a_protected_view_refuses(resource_server, fake_issuer):
    token = fake_issuer.token(subject="user:7", scope="read:metrics")
    http = APIClient(headers={"Authorization": f"Bearer {token}"})

    before = http.get("/metrics/")
    fake_issuer.revoke(token)
    after = http.get("/metrics/")

    assert before.json() == {"subject": "user:7", "client": "test-client"}
    assert after.status_code == 401
    assert 'error="invalid_token"' in after["WWW-Authenticate"]


@pytest.mark.urls("tests.testing.views")
def test_fake_issuer_when_a_view_has_its_own_verifier_then_its_audience_counts(
    resource_server, fake_issuer, monkeypatch
):
    audience = "https://service-b.example.com"
    own = BearerAuthentication.using(LocalVerifier(audience))
    monkeypatch.setattr(views.Metrics, "authentication_classes", [own])

    def status(**claims):
        header = f"Bearer {fake_issuer.token(scope='read:metrics', **claims)}"
        return APIClient().get("/metrics/", HTTP_AUTHORIZATION=header).status_code

    assert status(audience=audience) == 200
    assert status() == 401


@pytest.mark.urls("tests.testing.views")
def test_acting_as_when_called_then_it_lasts_as_long_as_the_test(resource_server, acting_as):
    http = APIClient()

    principal = acting_as(http, on_behalf_of="user:7", scope="read:metrics")

    assert principal.subject == "user:7"
    assert http.get("/metrics/").status_code == 200


def test_token_for_when_called_then_the_server_accepts_a_part_of_the_delegation(
    delegation_factory, token_for
):
    delegation = delegation_factory(scopes="read:metrics write:alerts")
    (audience,) = delegation.audience

    text = token_for(delegation, scope="read:metrics", audience=audience)

    token = local_verifier.verify(text, audience)
    assert str(token.scope) == "read:metrics"
    assert token.delegation_id == str(delegation.public_id)


@pytest.mark.parametrize(
    ("fixture", "name"),
    [
        ("user_factory", "UserFactory"),
        ("resource_server_factory", "ResourceServerFactory"),
        ("client_factory", "ClientFactory"),
        ("consent_factory", "ConsentFactory"),
        ("delegation_factory", "DelegationFactory"),
    ],
)
def test_factory_when_asked_for_by_name_then_it_writes(request, fixture, name):
    factory = request.getfixturevalue(fixture)

    assert factory is getattr(factories, name)
    assert factory().pk


@pytest.mark.django_db
def test_token_for_when_the_tables_were_emptied_then_the_token_is_signed_by_a_stored_key(
    delegation_factory, token_for
):
    token_for(delegation_factory())
    SigningKey.objects.all().delete()
    delegation = delegation_factory()

    text = token_for(delegation)

    assert local_verifier.verify(text, *delegation.audience)
    assert signing_keys.signer().kid in SigningKey.objects.values_list("kid", flat=True)


@pytest.mark.parametrize(
    ("module", "blocked"),
    [
        ("delegation_app.testing", ("factory", "django", "rest_framework")),
        ("delegation_app.testing.pytest_plugin", ("factory", "django", "rest_framework")),
        ("delegation_app.testing.fake_issuer", ("factory", "django", "rest_framework")),
        ("delegation_app.testing.acting_as", ("factory", "delegation_app.models")),
    ],
)
def test_module_when_imported_then_it_does_without(module, blocked):
    block = f"import sys; sys.modules.update(dict.fromkeys({blocked!r}))"
    script = f"{block}; {SET_UP if 'django' not in blocked else ''} import {module}"

    result = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)

    assert result.returncode == 0, result.stderr.decode()
