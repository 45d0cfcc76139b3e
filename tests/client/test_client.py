import pytest

from delegation_app.client import Attempt, Client, Credentials
from delegation_app.client.errors import (
    InvalidRequestError,
    NoAnswer,
    TemporarilyUnavailableError,
    UnusableAnswer,
)
from delegation_app.client.http.transport import Response
from delegation_app.protocol import names
from tests.client.fakes import ISSUER, OTHER, REDIRECT_URI, SERVICE, Time, answer, client_of

pytestmark = pytest.mark.any_database


def callback(attempt, **changes):
    query = {"code": "c0de", "state": attempt.state, "iss": ISSUER, **changes}
    return f"{REDIRECT_URI}?" + "&".join(f"{name}={value}" for name, value in query.items())


def test_client_when_it_is_made(server, client):
    assert server.sent == []


def test_client_when_it_asks_several_times(server, client):
    client.client_credentials(scope="a")
    client.exchange("subject", audience=SERVICE)
    assert [request.method for request in server.sent] == ["GET", "POST", "POST"]


def test_client_credentials_when_they_are_asked_for(server, client):
    tokens = client.client_credentials(audience=[SERVICE, OTHER], scope=["b", "a"])
    assert tokens.access_token == "token-1"
    assert (str(tokens.scope), tokens.expires_in) == ("a b", 600)
    assert server.forms[0]["resource"] == [SERVICE, OTHER]


def test_tokens_when_the_answer_takes_long(server):
    time = Time()
    client = client_of(server, time)

    def slow(form):
        time.forward(4)
        return server.token(form)

    server.reply = slow
    before = time()

    assert client.client_credentials().expires_at == before + 600


def test_exchange_when_a_token_is_handed_on(server, client):
    assert client.exchange("subject", audience=SERVICE).issued_token_type == names.ACCESS_TOKEN
    assert server.forms[0]["audience"] == [SERVICE]
    server.reply = answer(access_token="a", token_type="Bearer")
    with pytest.raises(UnusableAnswer, match="type"):
        client.exchange("subject", audience=SERVICE)


def test_exchange_when_the_subject_token_is_bad(server, client):
    server.reply = answer(400, error="invalid_request", error_description="The token is not valid.")
    with pytest.raises(InvalidRequestError, match="invalid_request: The token is not valid"):
        client.exchange("subject", audience=SERVICE)


def test_redeem_when_a_person_said_yes(server, client):
    attempt = Attempt.load(client.begin(REDIRECT_URI, scope="a").dump())
    server.reply = answer(access_token="at", token_type="Bearer", refresh_token="rt")
    tokens = client.redeem(attempt, callback(attempt))
    assert (tokens.access_token, tokens.refresh_token, str(tokens.scope)) == ("at", "rt", "a")
    assert server.forms[0]["code_verifier"] == [attempt.verifier]
    assert server.forms[0]["code"] == ["c0de"]


def test_redeem_when_the_response_is_forged(server, client):
    attempt = client.begin(REDIRECT_URI)
    for changes in ({"iss": "https://evil.example"}, {"state": "x"}):
        with pytest.raises(UnusableAnswer):
            client.redeem(attempt, callback(attempt, **changes))
    assert server.forms == []


@pytest.mark.conformance("BC-05")
def test_redeem_when_the_attempt_was_made_elsewhere(server, client):
    attempt = client.begin(REDIRECT_URI)
    other = Client("https://other.example", Credentials("web", "s"), transport=server)
    with pytest.raises(UnusableAnswer, match="another authorization server"):
        other.redeem(attempt, callback(attempt))
    assert server.forms == []


def test_refresh_when_it_works(server, client):
    server.reply = answer(access_token="at", token_type="Bearer", refresh_token="next")
    assert client.refresh("first", scope="a").refresh_token == "next"
    assert server.forms[0]["refresh_token"] == ["first"]
    assert server.forms[0]["scope"] == ["a"]


def test_revoke_when_the_server_is_down(server, client):
    server.reply = Response(503, {"retry-after": "2"})
    with pytest.raises(TemporarilyUnavailableError) as caught:
        client.revoke("token", hint="refresh_token")
    assert caught.value.retry_after == 2
    server.reply = Response(200)
    client.revoke("token")
    assert server.sent[-1].url == f"{ISSUER}/oauth/revoke"


def test_introspect_when_the_server_answers(server, client):
    server.reply = answer(active=True, sub="user:1")
    assert client.introspect("token")["sub"] == "user:1"
    assert server.sent[-1].url == f"{ISSUER}/oauth/introspect"


def test_endpoints_when_the_server_has_none(server, client):
    del server.metadata["revocation_endpoint"]
    with pytest.raises(UnusableAnswer, match="revocation_endpoint"):
        client.revoke("token")
    assert server.forms == []


def test_errors_when_there_is_no_response(server, client):
    server.reply = NoAnswer("as.example.com: Timeout")
    with pytest.raises(NoAnswer):
        client.client_credentials()


@pytest.mark.parametrize("issuer", ["http://as.example.com", "as.example.com", ""])
def test_client_when_the_issuer_is_none(issuer, server):
    with pytest.raises(ValueError, match="issuer"):
        Client(issuer, Credentials("web", "secret"), transport=server)
