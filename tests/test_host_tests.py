"""The tests of a site: its tables are undone or emptied after each, and the process goes on."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from delegation_app import conf

pytestmark = pytest.mark.any_database

ROOT = Path(conf.__file__).parent.parent

SETTINGS = """
from example_project.settings import *

DEBUG = False
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "example_project.urls"
DELEGATION = {"ISSUER": "https://as.example.com"}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
"""
HOST_TESTS = '''
import base64, json, zlib

import jwt
from django.db import transaction
from django.test import TestCase, TransactionTestCase
from oauth2_provider.models import Application

# Django 6.1 names it anew
savepoint = getattr(transaction, "savepoint_create", transaction.savepoint)

from delegation_app.models import AccessToken, ClientPolicy, ResourceServer, SigningKey
from delegation_app.services.tokens import local_verifier

API = "https://api.example.com"


class Steps:
    """What an ordinary site tests: a token is had, taken, told of and ended."""

    def make(self):
        api = ResourceServer.objects.create(identifier=API, name="API", scopes="read:metrics")
        cron = Application.objects.create(
            client_id="cron", client_secret="secret", name="Cron",
            client_type="confidential", authorization_grant_type="client-credentials",
        )
        policy = ClientPolicy.objects.create(
            application=cron, grants=["client_credentials"], scopes="read:metrics"
        )
        policy.audiences.add(api)

    def call(self, path, **form):
        form |= {"client_id": "cron", "client_secret": "secret"}
        return self.client.post(
            path, "&".join(f"{k}={v}" for k, v in form.items()), secure=True,
            content_type="application/x-www-form-urlencoded",
        )

    def token(self):
        answer = self.call(
            "/oauth/token", grant_type="client_credentials", scope="read:metrics"
        )
        assert answer.status_code == 200, answer.content
        return answer.json()["access_token"]

    def status(self, token):
        entry = jwt.decode(token, options={"verify_signature": False})["status"]["status_list"]
        path = entry["uri"].removeprefix("https://as.example.com")
        answer = self.client.get(path, secure=True)
        assert answer.status_code == 200, answer.content
        keys = jwt.PyJWKSet.from_dict(self.client.get("/oauth/jwks", secure=True).json())
        kid = jwt.get_unverified_header(answer.content)["kid"]
        claims = jwt.decode(answer.content, keys[kid], algorithms=["ES256"])
        bits = zlib.decompress(base64.urlsafe_b64decode(claims["status_list"]["lst"] + "=="))
        index, width = entry["idx"], claims["status_list"]["bits"]
        return bits[index * width // 8] >> (index * width % 8) & ((1 << width) - 1)

    def all_of_it(self):
        token = self.token()
        kid = jwt.get_unverified_header(token)["kid"]
        published = self.client.get("/oauth/jwks", secure=True).json()["keys"]
        assert kid in {key["kid"] for key in published}, "signed by a key that nobody knows"
        assert SigningKey.objects.filter(kid=kid, state="active").exists()
        jwt.decode(token, jwt.PyJWKSet.from_dict({"keys": published})[kid],
                   algorithms=["ES256"], audience=API)
        assert local_verifier.verify(token, API).client_id == "cron"
        assert self.status(token) == 0
        assert self.call("/oauth/revoke", token=token).status_code == 200
        assert self.status(token) == 1
        assert AccessToken.objects.exclude(revoked_at=None).exists()


class Undone(Steps, TestCase):
    def setUp(self):
        self.make()

    def test_one(self):
        self.all_of_it()

    def test_two(self):
        self.all_of_it()

    def test_three_with_callbacks(self):
        with self.captureOnCommitCallbacks(execute=True):
            self.all_of_it()

    def test_four_undone_in_between(self):
        point = savepoint()
        self.all_of_it()
        transaction.savepoint_rollback(point)
        self.all_of_it()


class MadeOnce(Steps, TestCase):
    @classmethod
    def setUpTestData(cls):
        cls().make()

    test_one = test_two = Steps.all_of_it


class Emptied(Steps, TransactionTestCase):
    def setUp(self):
        self.make()

    test_one = test_two = Steps.all_of_it


class EmptiedQuietly(Emptied):
    """Where no signal tells of it: `flush` sends none if there are `available_apps`."""

    available_apps = [
        "delegation_app", "oauth2_provider", "django.contrib.auth",
        "django.contrib.contenttypes", "django.contrib.sessions",
    ]


class UndoneAgain(Undone):
    pass
'''


@pytest.mark.slow
@pytest.mark.parametrize("order", [[], ["--reverse"], ["--shuffle=7"]])
def test_host_when_it_runs_its_own_tests_then_none_meets_what_another_one_left(tmp_path, order):
    (tmp_path / "host_settings.py").write_text(SETTINGS)
    (tmp_path / "test_host.py").write_text(HOST_TESTS)
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "host_settings",
        "DJANGO_SECRET_KEY": "a key for tests, of no value to anyone, but long enough",
        "DATABASE_URL": os.environ.get("TEST_DATABASE_URL", f"sqlite:///{tmp_path}/db.sqlite3"),
        "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)]),
    }
    command = [sys.executable, "-m", "django", "test", "test_host", "--noinput", *order]
    result = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr[-5000:]
    assert "Ran 14 tests" in result.stderr
