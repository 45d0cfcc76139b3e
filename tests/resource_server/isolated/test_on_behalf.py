"""Calling the next service in the name of whoever called this one."""

import json
from urllib.parse import parse_qs

import pytest
import requests
from django.core.exceptions import ImproperlyConfigured
from requests.adapters import BaseAdapter
from rest_framework.response import Response as Answer

from delegation_app.client import Client, Credentials, NoAnswer, Response, TokenCache
from delegation_app.protocol import names
from delegation_app.resource_server import runtime
from delegation_app.resource_server.on_behalf import OnBehalfOfMixin, on_behalf_of, onward_auth
from delegation_app.resource_server.permissions import RequireScopes
from tests.resource_server.isolated.service import Answering
from tests.resource_server.issuer import ISSUER, NOW

NEXT = "https://service-b.example.com"
METADATA = {"issuer": ISSUER, "token_endpoint": f"{ISSUER}/oauth/token"}


class Server:
    """The authorization server, for exchanges."""

    def __init__(self):
        self.forms = []
        self.refusal = None

    def send(self, request):
        if request.method == "GET":
            return Response(200, {}, json.dumps(METADATA).encode())
        self.forms.append(
            {name: value for name, [value] in parse_qs(request.body.decode()).items()}
        )
        if isinstance(self.refusal, Exception):
            raise self.refusal
        if self.refusal is not None:
            return self.refusal
        members = {
            "access_token": f"onward-{len(self.forms)}",
            "token_type": "Bearer",
            "issued_token_type": names.ACCESS_TOKEN,
            "expires_in": 600,
        }
        return Response(200, {}, json.dumps(members).encode())


class Network(BaseAdapter):
    """What the next service gets to see, and what it says."""

    def __init__(self):
        super().__init__()
        self.seen = []
        self.refused = set()

    def send(self, request, **_options):
        self.seen.append(request)
        answer = requests.Response()
        answer.status_code, answer.request, answer.url = 200, request, request.url
        if request.headers.get("Authorization") in self.refused:
            answer.status_code = 401
            answer.headers["WWW-Authenticate"] = 'Bearer error="invalid_token"'
        answer._content, answer._content_consumed = b"{}", True
        answer.connection = self
        return answer

    def close(self):
        pass


@pytest.fixture
def server():
    return Server()


@pytest.fixture
def network():
    return Network()


@pytest.fixture
def exchanging(server, issuer):
    """This service, as a client that exchanges."""
    credentials = Credentials("service_a", "a secret of service a")
    cache = TokenCache(clock=lambda: issuer.steady, now=lambda: issuer.now)
    return Client(ISSUER, credentials, transport=server, cache=cache, now=lambda: issuer.now)


@pytest.fixture
def settled(exchanging, monkeypatch):
    """The same, as the client that the settings name."""
    monkeypatch.setattr(runtime, "client", lambda: exchanging)


@pytest.fixture
def report(service, exchanging, network):
    """A view that asks the next service."""

    class Report(Answering):
        url = f"{NEXT}/report"
        arguments = {}

        def get(self, request):
            named = {"client": exchanging, "audience": NEXT, **self.arguments}
            with on_behalf_of(request, scope="read:metrics", **named) as session:
                session.mount("https://", network)
                return Answer({"status": session.get(self.url).status_code})

    def view(**members):
        return service.view(RequireScopes("read:metrics"), base=Report, **members)

    return view


def test_call_when_a_token_let_in(service, report, server, network):
    token = service.issuer.token()
    assert service.ask(report(), token).data == {"status": 200}
    assert network.seen[0].headers["Authorization"] == "Bearer onward-1"
    asked = {"subject_token": token, "audience": NEXT, "scope": "read:metrics"}
    assert len(server.forms) == 1
    assert server.forms[0].items() >= {"grant_type": names.TOKEN_EXCHANGE, **asked}.items()


def test_call_when_the_same_token_comes_again(service, report, server):
    view, token = report(), service.issuer.token()
    for _ in "123":
        service.ask(view, token)
    assert len(server.forms) == 1
    service.ask(view, service.issuer.token(jti="another"))
    assert len(server.forms) == 2


def test_call_when_the_incoming_token_is_near_its_end(service, report, server):
    view, token = report(), service.issuer.token(exp=NOW + 10)
    service.ask(view, token)
    service.ask(view, token)
    assert len(server.forms) == 1

    # Taken by the verifier for ten seconds more, which clocks may differ by
    service.issuer.pass_time(11)
    assert service.ask(view, token).status_code == 200
    assert len(server.forms) == 2


def test_call_when_the_service_calls_the_token_invalid(service, report, server, network):
    token = service.issuer.token()
    network.refused = {"Bearer onward-1"}
    assert service.ask(report(), token).data == {"status": 200}
    assert len(server.forms) == 2
    network.refused = {"Bearer onward-2", "Bearer onward-3"}
    assert service.ask(report(), token).data == {"status": 401}
    assert len(server.forms) == 3


def test_call_when_it_goes_somewhere_else(service, report, network):
    service.ask(report(url="https://elsewhere.example.com/"), service.issuer.token())
    assert "Authorization" not in network.seen[0].headers


def test_call_when_the_service_is_elsewhere(service, report, network):
    there = "https://b.internal.example.com"
    view = report(url=f"{there}/report", arguments={"origins": [there]})
    service.ask(view, service.issuer.token())
    assert network.seen[0].headers["Authorization"] == "Bearer onward-1"


def test_call_when_a_session_of_the_site_is_used(service, exchanging, network):
    class Own(Answering):
        def get(self, request):
            session = requests.Session()
            session.mount("https://", network)
            session.get(NEXT, auth=onward_auth(request, NEXT, client=exchanging))
            return Answer()

    service.ask(service.view(RequireScopes("read:metrics"), base=Own), service.issuer.token())
    assert network.seen[0].headers["Authorization"] == "Bearer onward-1"


@pytest.mark.parametrize(
    "case",
    [
        ({}, (), None),
        ({"onward_scope": "read:metrics"}, (), "read:metrics"),
        ({"onward_scope": "read:metrics"}, ("write:alerts",), "write:alerts"),
    ],
)
def test_mixin_when_a_view_has_it(service, server, network, settled, case):
    members, asked, scope = case
    there = "https://b.internal.example.com"

    class Report(OnBehalfOfMixin, Answering):
        onward_origins = {NEXT: there}

        def get(self, request):
            with self.on_behalf_of(request, NEXT, *asked) as session:
                session.mount("https://", network)
                return Answer({"status": session.get(f"{there}/report").status_code})

    view = service.view(RequireScopes("read:metrics"), base=Report, **members)
    assert service.ask(view, service.issuer.token()).data == {"status": 200}
    assert network.seen[0].headers["Authorization"] == "Bearer onward-1"
    assert server.forms[0].get("scope") == scope


def test_session_when_the_request_has_no_token(service, report):
    view = report(permission_classes=[])
    assert service.ask(view).status_code == 401


def test_session_when_the_settings_name_no_client(service, report):
    with pytest.raises(ImproperlyConfigured, match="CLIENT_ID"):
        service.ask(report(arguments={"client": None}), service.issuer.token())


def test_session_when_none_is_named(service, report, server, settled):
    assert service.ask(report(arguments={"client": None}), service.issuer.token()).data
    assert len(server.forms) == 1


def refused(code, status=400, description="No.", **headers):
    body = {"error": code, "error_description": description}
    return Response(status, headers, json.dumps(body).encode())


@pytest.mark.parametrize("code", ["invalid_target", "invalid_scope", "invalid_request"])
def test_exchange_when_refused(service, report, server, code):
    server.refusal = refused(code)

    answer = service.ask(report(), service.issuer.token())

    assert answer.status_code == 403
    assert answer.data == {
        "error": "exchange_refused",
        "error_description": "The authority of this request does not extend to the next service.",
        "reason": {"error": code, "error_description": "No."},
    }
    assert answer["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "broken",
    [
        refused("invalid_client", 401),
        refused("unsupported_grant_type"),
        refused("server_error", 500),
        Response(200, {}, b"<html>"),
    ],
)
def test_exchange_when_something_is_broken(service, report, server, broken):
    server.refusal = broken
    answer = service.ask(report(), service.issuer.token())
    assert (answer.status_code, answer.data["error"]) == (502, "exchange_failed")


@pytest.mark.parametrize(
    ("silence", "wait"),
    [
        (NoAnswer("nobody there"), "2"),
        (refused("temporarily_unavailable", 503, **{"retry-after": "7"}), "7"),
    ],
)
def test_exchange_when_there_is_no_response(service, report, server, silence, wait):
    server.refusal = silence
    answer = service.ask(report(), service.issuer.token())
    assert (answer.status_code, answer["Retry-After"]) == (503, wait)
    assert answer.data["error"] == "temporarily_unavailable"


def test_exchange_when_the_server_quotes_the_token(service, report, server, caplog):
    token = service.issuer.token()
    server.refusal = refused("invalid_request", description=f"{token} is no good")
    answer = service.ask(report(), token)
    written = answer.content.decode() + caplog.text
    assert not any(part in written for part in token.split("."))
    assert "a secret of service a" not in written
