"""Our classes as the defaults of Django REST framework, whatever is imported first."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.any_database

ROOT = Path(__file__).parents[2]
PROGRAM = """
import sys
from django.conf import settings
settings.configure(
    SECRET_KEY="a key for tests",
    DATABASES={},
    INSTALLED_APPS=["rest_framework", "delegation_app.resource_server"],
    DELEGATION_RESOURCE_SERVER={
        "ISSUER": "https://as.example.com",
        "AUDIENCE": "https://a.example.com",
    },
    REST_FRAMEWORK={
        "DEFAULT_AUTHENTICATION_CLASSES": [
            "delegation_app.resource_server.authentication.BearerAuthentication"
        ],
        "DEFAULT_PERMISSION_CLASSES": ["delegation_app.resource_server.permissions.RequireScopes"],
        "UNAUTHENTICATED_USER": None,
    },
)
import django
__import__(sys.argv[1])
django.setup()
from rest_framework.test import APIRequestFactory
from rest_framework.views import APIView
class View(APIView):
    required_scopes = ["read:metrics"]
    def get(self, request):
        raise AssertionError("nobody may get here")
answer = View.as_view()(APIRequestFactory().get("/"))
print(answer.status_code, answer.headers["WWW-Authenticate"])
"""


@pytest.mark.parametrize(
    "first",
    [
        "rest_framework.views",
        "delegation_app.resource_server.authentication",
        "delegation_app.resource_server.permissions",
        "delegation_app.resource_server.on_behalf",
        "delegation_app.resource_server.metadata",
    ],
)
def test_defaults_when_they_are_ours(first):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, first],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout.startswith('401 Bearer realm="https://a.example.com"'), done.stderr
    assert 'scope="read:metrics"' in done.stdout
