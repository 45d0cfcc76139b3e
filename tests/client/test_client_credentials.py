import pytest

from delegation_app.client import ClientCredentials
from delegation_app.client.errors import NoAnswer
from delegation_app.protocol import names
from tests.client.crowd import crowd
from tests.client.fakes import OTHER, SERVICE, Server, Time, client_of


@pytest.fixture
def server():
    return Server()


@pytest.fixture
def time():
    return Time()


@pytest.fixture
def client(server, time):
    return client_of(server, time)


def test_token_when_a_crowd_needs_one_then_the_server_is_asked_once(server, client):
    source = ClientCredentials(client, audience=SERVICE, scope="a")

    results = crowd(32, lambda: source.token().access_token)

    assert set(results) == {"token-1"}
    assert server.issued == {names.CLIENT_CREDENTIALS: 1}
    # And only one of them looked for the endpoint
    assert len(server.sent) == 2


def test_token_when_two_want_the_same_then_they_share_it(server, client):
    one = ClientCredentials(client, audience=[SERVICE, OTHER], scope="a b")
    other = ClientCredentials(client, audience=[OTHER, SERVICE], scope=["b", "a"])

    assert one.token() == other.token()


@pytest.mark.parametrize(
    "other",
    [
        {"audience": OTHER, "scope": "a"},
        {"audience": [SERVICE, OTHER], "scope": "a"},
        {"audience": SERVICE, "scope": "a b"},
        {"audience": SERVICE},
        {"scope": "a"},
        {},
    ],
)
def test_token_when_anything_differs_then_it_is_another_one(client, other):
    one = ClientCredentials(client, audience=SERVICE, scope="a").token()

    assert ClientCredentials(client, **other).token() != one


def test_token_when_it_is_due_and_the_server_is_down_then_the_old_one_is_used(server, client, time):
    source = ClientCredentials(client, audience=SERVICE)
    source.token()
    time.forward(541)
    server.reply = NoAnswer("as.example.com: Timeout")

    assert source.token().access_token == "token-1"
    time.forward(60)
    with pytest.raises(NoAnswer):
        source.token()


def test_forget_when_a_service_refused_it_then_a_new_one_is_asked_for(client):
    source = ClientCredentials(client, audience=SERVICE)
    source.forget(source.token().access_token)

    assert source.token().access_token == "token-2"
