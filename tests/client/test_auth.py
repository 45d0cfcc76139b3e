import io
import itertools

import pytest
import requests

from delegation_app.client import AsService, BearerAuth, OnBehalfOf, Tokens, session
from delegation_app.client.errors import InvalidRequestError
from tests.client.fakes import OTHER, SERVICE, Server, answer, client_of
from tests.client.peers import header, peer, says

pytestmark = pytest.mark.any_database

CHALLENGE = 'WWW-Authenticate: Bearer realm="b", error="invalid_token", error_description="No."'


class Source:
    """Tokens 1, 2, 3 ...: another one after each that was forgotten."""

    def __init__(self):
        self.forgotten = []

    def token(self):
        return Tokens(f"token-{len(self.forgotten) + 1}")

    def forget(self, access_token):
        self.forgotten.append(access_token)


@pytest.fixture
def source():
    return Source()


def refuses_first(*headers, times=1):
    """A service that says 401 to the first requests, and yes to those after."""
    turn = itertools.count()

    def speak(connection, request):
        good = next(turn) >= times
        reply = says(b"yes") if good else says(b"no", "401 Unauthorized", *headers)
        reply(connection, request)

    return speak


def tokens_seen(there):
    return [header(request, "Authorization") for request in there.requests]


def test_auth_when_the_origin_is_the_service(source):
    with peer(says()) as there:
        session(BearerAuth(source, [there.url])).get(there.url + "/api")
    assert tokens_seen(there) == ["Bearer token-1"]


def test_auth_when_it_is_another_origin(source):
    with peer(says()) as there, peer(says()) as elsewhere:
        session(BearerAuth(source, [there.url])).get(elsewhere.url)
    assert tokens_seen(elsewhere) == [None]


def plain_session(auth):
    made = requests.Session()
    made.trust_env = False
    made.auth = auth
    return made


@pytest.mark.parametrize("make", [session, plain_session])
@pytest.mark.parametrize("status", ["302 Found", "307 Temporary Redirect"])
def test_auth_when_the_service_redirects_elsewhere(source, make, status):
    with (
        peer(refuses_first(CHALLENGE)) as trap,
        peer(says(b"", status, f"Location: {trap.url}/")) as there,
        make(BearerAuth(source, [there.url])) as calls,
    ):
        answer = calls.get(there.url)

    assert [token for token in tokens_seen(trap) if token] == []
    assert tokens_seen(there) == ["Bearer token-1"]
    # Where the redirect led is not the service, so its refusal of the token means nothing
    assert source.forgotten == []
    assert answer.status_code in {302, 307, 401}


def test_auth_when_a_session_of_the_site_follows_a_redirect(source):
    with (
        peer(refuses_first(CHALLENGE)) as trap,
        peer(says(b"", "302 Found", f"Location: {trap.url}/")) as there,
        plain_session(BearerAuth(source, [there.url])) as calls,
    ):
        calls.should_strip_auth = lambda old_url, new_url: False
        answer = calls.get(there.url)

    assert answer.status_code == 401
    assert tokens_seen(trap) == ["Bearer token-1"]
    assert source.forgotten == []


@pytest.mark.parametrize("body", [None, b"bytes", "text", io.BytesIO(b"..a file")])
def test_auth_when_the_service_refuses_the_token(source, body):
    if isinstance(body, io.BytesIO):
        body.seek(2)
    with peer(refuses_first(CHALLENGE)) as there:
        answer = session(BearerAuth(source, [there.url])).post(there.url, data=body)

    assert (answer.status_code, answer.text) == (200, "yes")
    assert tokens_seen(there) == ["Bearer token-1", "Bearer token-2"]
    assert source.forgotten == ["token-1"]
    sent = [request.rpartition(b"\r\n\r\n")[2] for request in there.requests]
    assert (
        sent[0]
        == sent[1]
        == {None: b"", "text": b"text", b"bytes": b"bytes"}.get(
            None if body is None else body if isinstance(body, str | bytes) else 0, b"a file"
        )
    )


def test_auth_when_the_service_refuses_twice(source):
    with peer(refuses_first(CHALLENGE, times=9)) as there:
        answer = session(BearerAuth(source, [there.url])).get(there.url)
    assert answer.status_code == 401
    assert answer.text == "no"
    assert len(there.requests) == 2


def test_auth_when_the_body_cannot_be_read_again(source):
    with peer(refuses_first(CHALLENGE)) as there, session(BearerAuth(source, [there.url])) as calls:
        first = calls.post(there.url, data=(part for part in [b"a", b"b"]))
        second = calls.get(there.url)
    assert (first.status_code, second.status_code) == (401, 200)
    assert tokens_seen(there)[0] == "Bearer token-1"
    assert tokens_seen(there)[-1] == "Bearer token-2"


@pytest.mark.parametrize(
    "headers",
    [
        [],
        ['WWW-Authenticate: Bearer realm="b"'],
        ['WWW-Authenticate: Bearer error="insufficient_scope"'],
        ['WWW-Authenticate: Basic realm="b", error="invalid_token"'],
        ['WWW-Authenticate: Bearer realm="error=invalid_token"'],
        ['WWW-Authenticate: Bearer error="invalid_token_of_mine"'],
    ],
)
def test_auth_when_a_new_token_would_not_help(source, headers):
    with peer(refuses_first(*headers)) as there:
        answer = session(BearerAuth(source, [there.url])).get(there.url)
    assert answer.status_code == 401
    assert len(there.requests) == 1
    assert source.forgotten == []


@pytest.mark.parametrize(
    "headers",
    [
        ["WWW-Authenticate: bearer error=invalid_token"],
        ['WWW-Authenticate: Basic realm="a, b", Bearer realm="x", error="invalid_token"'],
        ['WWW-Authenticate: Basic realm="a"', 'WWW-Authenticate: Bearer ERROR = "invalid_token"'],
    ],
)
def test_auth_when_the_challenge_is_written_differently(source, headers):
    with peer(refuses_first(*headers)) as there:
        assert session(BearerAuth(source, [there.url])).get(there.url).status_code == 200


def test_auth_when_there_is_no_other_token(source):
    source.forget = lambda access_token: None
    with peer(refuses_first(CHALLENGE)) as there:
        answer = session(BearerAuth(source, [there.url])).get(there.url)
    assert (answer.status_code, answer.text) == (401, "no")
    assert len(there.requests) == 1


@pytest.mark.parametrize(
    "origins", [[], ["http://b.example.com"], ["b.example.com"], ["https://a@b.example.com"], [""]]
)
def test_auth_when_there_is_no_safe_origin(source, origins):
    with pytest.raises(ValueError, match=r"origin"):
        BearerAuth(source, origins)


def prepared(auth, url):
    return requests.Request("GET", url, auth=auth).prepare().headers.get("Authorization")


def test_as_service_when_no_origins_are_named():
    client = client_of(Server())
    auth = AsService(client, SERVICE, "a")
    assert prepared(auth, SERVICE + "/api?x=1") == "Bearer token-1"
    assert prepared(AsService(client, SERVICE, "a"), SERVICE + ":443/") == "Bearer token-1"
    for other in (OTHER, SERVICE + ":8443", SERVICE + ".evil.example", "http" + SERVICE[5:]):
        assert prepared(auth, other) is None


def test_as_service_when_origins_are_named():
    auth = AsService(client_of(Server()), SERVICE, origins=["http://127.0.0.1:8001/api"])
    assert prepared(auth, "http://127.0.0.1:8001/other") == "Bearer token-1"
    assert prepared(auth, SERVICE) is None


def test_as_service_when_the_audience_is_no_address():
    client = client_of(Server())
    with pytest.raises(ValueError, match="origins"):
        AsService(client, "urn:service:b")
    assert AsService(client, "urn:service:b", origins=[SERVICE])


def test_on_behalf_of_when_a_user_calls():
    server = Server()
    client = client_of(server)
    for _ in range(2):
        auth = OnBehalfOf(client, "alice's", audience=SERVICE, scope="a", subject_expires_at=2e9)
        assert prepared(auth, SERVICE) == "Bearer token-1"

    assert [form["subject_token"] for form in server.forms] == [["alice's"]]
    assert server.forms[0]["audience"] == [SERVICE]
    assert "alice" not in repr(auth)


def test_on_behalf_of_when_the_exchange_is_refused():
    server = Server()
    server.reply = answer(400, error="invalid_request")
    with peer(says()) as there:
        auth = OnBehalfOf(client_of(server), "s", audience=SERVICE, origins=[there.url])
        with pytest.raises(InvalidRequestError):
            session(auth).get(there.url)
    assert there.requests == []


def test_on_behalf_of_when_the_person_took_it_back():
    server = Server()
    with peer(refuses_first(CHALLENGE, times=9)) as there:
        auth = OnBehalfOf(client_of(server), "s", audience=SERVICE, origins=[there.url])
        server.reply = lambda form: (
            answer(400, error="invalid_request") if server.issued else server.token(form)
        )
        with pytest.raises(InvalidRequestError):
            session(auth).get(there.url)

    assert len(there.requests) == 1


def test_on_behalf_of_when_the_token_is_refused():
    server = Server()
    client = client_of(server)
    with peer(refuses_first(CHALLENGE)) as there:
        auth = OnBehalfOf(client, "s", audience=SERVICE, origins=[there.url])
        assert session(auth).get(there.url).status_code == 200
    assert tokens_seen(there) == ["Bearer token-1", "Bearer token-2"]
    assert len(server.forms) == 2
