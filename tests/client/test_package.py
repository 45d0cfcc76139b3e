import importlib
import pkgutil
import subprocess
import sys

import pytest

import delegation_app.client

pytestmark = pytest.mark.any_database

MODULES = sorted(
    found.name
    for found in pkgutil.walk_packages(delegation_app.client.__path__, "delegation_app.client.")
)

WITHOUT_DJANGO = """
import importlib, json, sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"django", "rest_framework", "oauth2_provider"}:
            raise ImportError(f"{name} is blocked")

sys.meta_path.insert(0, Blocked())
for name in sys.argv[1:]:
    importlib.import_module(name)

from delegation_app import client

ISSUER, SERVICE = "https://as.example.com", "https://service-b.example.com"

class Server:
    def send(self, request):
        if request.method == "GET":
            members = {"issuer": ISSUER, "token_endpoint": ISSUER + "/token"}
        else:
            assert b"subject_token=alice" in request.body
            members = {
                "access_token": "onward", "token_type": "Bearer", "expires_in": 60,
                "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
            }
        return client.Response(200, {}, json.dumps(members).encode())

here = client.Client(ISSUER, client.Credentials("a", "secret"), transport=Server())
auth = client.OnBehalfOf(here, "alice", audience=SERVICE)
import requests
prepared = requests.Request("GET", SERVICE + "/api", auth=auth).prepare()
assert not {"django", "rest_framework"} & set(sys.modules)
print(prepared.headers["Authorization"])
"""


def test_client_when_there_is_no_django():
    result = subprocess.run(
        [sys.executable, "-c", WITHOUT_DJANGO, *MODULES],
        capture_output=True,
        text=True,
        check=False,
    )

    assert result.stderr == ""
    assert result.stdout == "Bearer onward\n"
    assert len(MODULES) > 10


def test_public_names_when_they_are_listed():
    assert delegation_app.client.__all__ == [
        "AccessDeniedError", "AsService", "Attempt", "BearerAuth", "Client", "ClientCredentials",
        "ClientError", "ConsentRequiredError", "Credentials", "Discovery", "Exchange",
        "HttpTransport", "InvalidClientError", "InvalidGrantError", "InvalidRequestError",
        "InvalidScopeError", "InvalidTargetError", "LoginRequiredError", "Metadata", "NoAnswer",
        "OnBehalfOf", "Refused", "Request", "Response", "ServerFailed",
        "TemporarilyUnavailableError", "TokenCache", "TokenSource", "Tokens", "Transport",
        "UnauthorizedClientError", "UnsupportedGrantTypeError", "UnsupportedTokenTypeError",
        "UnusableAnswer", "session",
    ]  # fmt: skip
    for name in delegation_app.client.__all__:
        assert hasattr(delegation_app.client, name)


def test_public_names_when_an_error_is_added():
    errors = importlib.import_module("delegation_app.client.errors")
    kinds = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.ClientError)
    }
    assert kinds <= set(delegation_app.client.__all__)
