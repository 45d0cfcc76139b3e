import pytest

from delegation_app.client import discovery
from delegation_app.client.discovery import Discovery
from delegation_app.client.errors import (
    ClientError,
    NoAnswer,
    TemporarilyUnavailableError,
    UnusableAnswer,
)
from delegation_app.client.http.transport import Request, Response, with_address
from tests.client.fakes import ISSUER, METADATA, Server, answer

pytestmark = pytest.mark.any_database


@pytest.mark.parametrize(
    ("issuer", "url"),
    [
        ("https://h.example", "https://h.example/.well-known/oauth-authorization-server"),
        ("https://h.example/", "https://h.example/.well-known/oauth-authorization-server"),
        ("https://h.example/t1", "https://h.example/.well-known/oauth-authorization-server/t1"),
        ("https://h.example/t1/", "https://h.example/.well-known/oauth-authorization-server/t1"),
        (
            "http://127.0.0.1:8000/a/b",
            "http://127.0.0.1:8000/.well-known/oauth-authorization-server/a/b",
        ),
    ],
)
def test_request_when_the_issuer_has_a_path(issuer, url):
    request = discovery.request(issuer)
    assert (request.method, request.url, request.body) == ("GET", url, None)


@pytest.mark.parametrize(
    "issuer",
    [
        "",
        "as.example.com",
        "http://as.example.com",
        "https://as.example.com?x",
        "https://as.example.com#x",
        "https://user@as.example.com",
    ],
)
def test_discovery_when_the_issuer_is_none(issuer):
    with pytest.raises(ValueError, match="issuer"):
        Discovery(issuer, Server())


def test_judge_when_the_document_is_good():
    known = discovery.judge(answer(**METADATA), ISSUER)
    assert known.endpoint("token_endpoint") == f"{ISSUER}/oauth/token"
    assert known.endpoint("jwks_uri") == f"{ISSUER}/oauth/jwks"
    assert known.sends_iss
    assert known.challenge_methods == ("S256",)
    with pytest.raises(UnusableAnswer, match="device_authorization_endpoint"):
        known.endpoint("device_authorization_endpoint")


@pytest.mark.parametrize(
    "issuer",
    [
        "https://evil.example", ISSUER + "/", ISSUER.upper(), ISSUER + ":443",
        ISSUER.replace("https", "http"), None, [ISSUER], {},
    ],
)  # fmt: skip
def test_judge_when_another_issuer_is_named(issuer):
    with pytest.raises(UnusableAnswer, match="another issuer"):
        discovery.judge(answer(**{**METADATA, "issuer": issuer}), ISSUER)


@pytest.mark.parametrize("name", ["token_endpoint", "revocation_endpoint", "jwks_uri"])
@pytest.mark.parametrize(
    "url",
    [
        "http://as.example.com/oauth/token",
        "http://127.0.0.1/oauth/token",
        "/oauth/token",
        "https://as.example.com/#x",
        "https://user@as.example.com/",
        "ftp://as.example.com/",
        None,
        7,
        [],
    ],
)
def test_judge_when_an_endpoint_is_no_place_for_secrets(name, url):
    with pytest.raises(UnusableAnswer, match=name):
        discovery.judge(answer(**{**METADATA, name: url}), ISSUER)


def test_judge_when_the_issuer_is_this_machine():
    issuer = "http://127.0.0.1:8000"
    members = {"issuer": issuer, "token_endpoint": f"{issuer}/oauth/token"}
    assert discovery.judge(answer(**members), issuer).endpoint("token_endpoint")


@pytest.mark.parametrize(
    "response",
    [
        answer(issuer=ISSUER),
        answer(**{**METADATA, "code_challenge_methods_supported": "S256"}),
        Response(200, {}, b"<html>"),
        Response(404, {}, b"<html>"),
        Response(302, {"location": "https://evil.example"}),
    ],
)
def test_judge_when_the_answer_is_no_such_document(response):
    with pytest.raises(UnusableAnswer):
        discovery.judge(response, ISSUER)


def test_metadata_when_it_is_asked_for_often(server, time):
    here = Discovery(ISSUER, server, clock=time)
    assert here.metadata() == here.metadata()
    assert len(server.sent) == 1
    time.forward(discovery.REFRESH_SECONDS + 1)
    here.metadata()
    assert len(server.sent) == 2


@pytest.mark.parametrize("trouble", ["no answer", "another issuer"])
def test_metadata_when_it_cannot_be_refreshed(server, time, trouble):
    here = Discovery(ISSUER, server, clock=time)
    known = here.metadata()
    if trouble == "no answer":
        server.send = raising(NoAnswer("as.example.com: Timeout"))
    else:
        server.metadata["issuer"] = "https://evil.example"

    time.forward(discovery.REFRESH_SECONDS + 1)
    assert here.metadata() == known
    time.forward(discovery.MAX_AGE_SECONDS)
    with pytest.raises((NoAnswer, UnusableAnswer)):
        here.metadata()


def test_metadata_when_there_is_none_yet(server):
    server.send = lambda request: Response(503, {"retry-after": "3"})
    with pytest.raises(TemporarilyUnavailableError):
        Discovery(ISSUER, server).metadata()


def raising(error):
    def send(request):
        raise error

    return send


@pytest.mark.parametrize(
    "reply",
    [
        Response(404, {}, b"<h1>Not found</h1>"),
        Response(302, {"location": "/login/"}, b""),
        Response(503, {}, b""),
        Response(400, {}, b'{"error": "invalid_request", "error_description": "no"}'),
        Response(200, {}, b'{"issuer": "https://another.example.com"}'),
        Response(200, {}, b"<html>"),
    ],
)
def test_discovery_when_the_answer_is_of_no_use(reply):
    class Fixed:
        def send(self, _request):
            return reply

    with pytest.raises(ClientError) as caught:
        Discovery("https://as.example.com/auth", Fixed()).metadata()

    address = "https://as.example.com/.well-known/oauth-authorization-server/auth"
    assert caught.value.address == address
    assert str(caught.value).startswith(f"{address}: ")


def test_address_when_it_is_named():
    request = Request("GET", "https://user:secret@as.example.com/jwks?token=secret")
    with pytest.raises(NoAnswer) as caught, with_address(request):
        raise NoAnswer("Timeout")
    assert str(caught.value) == "https://as.example.com/jwks: Timeout"
