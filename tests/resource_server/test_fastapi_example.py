"""The example of the documentation for a service without Django, as it stands there."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from tests.resource_server.issuer import AUDIENCE, ISSUER, JWKS, LIST, Issuer

pytestmark = pytest.mark.any_database

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "fastapi_service.py"


@pytest.fixture
def issuer():
    return Issuer()


@pytest.fixture
def service(issuer, monkeypatch):
    monkeypatch.setenv("ISSUER", ISSUER)
    monkeypatch.setenv("AUDIENCE", AUDIENCE)
    spec = importlib.util.spec_from_file_location("fastapi_service", EXAMPLE)
    example = importlib.util.module_from_spec(spec)
    # FastAPI reads annotations in the module that they stand in
    monkeypatch.setitem(sys.modules, spec.name, example)
    spec.loader.exec_module(example)
    monkeypatch.setattr(example, "verifier", issuer.verifier())
    return TestClient(example.app)


def ask(service, token):
    return service.get("/metrics", headers={"Authorization": f"Bearer {token}"})


def test_example_when_a_token_is_good(service, issuer):
    answer = ask(service, issuer.token(act={"sub": "client:a"}))
    assert answer.status_code == 200
    assert answer.json()["subject"] == "user:7"
    assert answer.json()["actor"] == {"sub": "client:a"}


def test_example_when_there_is_no_token(service):
    answer = service.get("/metrics")
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == (
        f'Bearer realm="{AUDIENCE}", scope="read:metrics"'
    )


def test_example_when_a_token_was_revoked(service, issuer):
    issuer.revoked[LIST].add(3)
    answer = ask(service, issuer.token())
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


def test_example_when_the_scope_is_too_small(service, issuer):
    answer = ask(service, issuer.token(scope="write:alerts"))
    assert (answer.status_code, answer.json()["error"]) == (403, "insufficient_scope")
    assert 'scope="read:metrics"' in answer.headers["WWW-Authenticate"]


def test_example_when_a_constraint_refuses(service, issuer):
    limits = [{"type": "ip_range", "networks": ["192.0.2.0/24"]}]
    assert ask(service, issuer.token(constraints=limits)).status_code == 403


def test_example_when_the_issuer_is_down(service, issuer):
    issuer.down |= {JWKS, LIST}
    answer = ask(service, issuer.token())
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "2"


def test_example_when_the_header_is_malformed(service):
    answer = service.get("/metrics", headers={"Authorization": "Bearer"})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_verifying_when_django_cannot_be_imported():
    program = """
import sys
class Blocked:
    def find_spec(self, name, *_):
        if name.partition(".")[0] in {"django", "rest_framework", "oauth2_provider"}:
            raise ImportError(f"{name} is blocked")
sys.meta_path.insert(0, Blocked())
sys.path.insert(0, sys.argv[1])
from tests.resource_server.issuer import Issuer
issuer = Issuer()
assert issuer.verifier().verify(issuer.token()).subject == "user:7"
from delegation_app.resource_server import challenge
from delegation_app.resource_server.verifiers import introspection
assert not any(name.startswith("django.") for name in sys.modules)
print("verified")
"""
    root = str(EXAMPLE.parents[2])
    done = subprocess.run(
        [sys.executable, "-c", program, root], capture_output=True, text=True, check=False
    )

    assert done.stdout == "verified\n", done.stderr
