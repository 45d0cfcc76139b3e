import gc

import pytest

from delegation_app.client import ClientCredentials, Exchange
from delegation_app.client.errors import InvalidRequestError, NoAnswer
from delegation_app.protocol import names
from tests.client.fakes import OTHER, SERVICE, answer, client_of, crowd

pytestmark = [pytest.mark.any_database, pytest.mark.compat]


def test_client_credentials_when_a_crowd_needs_one(server, client):
    source = ClientCredentials(client, audience=SERVICE, scope="a")
    results = crowd(32, lambda: source.token().access_token)
    assert set(results) == {"token-1"}
    assert server.issued == {names.CLIENT_CREDENTIALS: 1}
    # And only one of them looked for the endpoint
    assert len(server.sent) == 2


def test_client_credentials_when_two_want_the_same(server, client):
    one = ClientCredentials(client, audience=[SERVICE, OTHER], scope="a b")
    other = ClientCredentials(client, audience=[OTHER, SERVICE], scope=["b", "a"])
    assert one.token() == other.token()


@pytest.mark.parametrize(
    "other",
    [
        {"audience": OTHER, "scope": "a"}, {"audience": [SERVICE, OTHER], "scope": "a"},
        {"audience": SERVICE, "scope": "a b"}, {"audience": SERVICE}, {"scope": "a"}, {},
    ],
)  # fmt: skip
def test_client_credentials_when_anything_differs(client, other):
    one = ClientCredentials(client, audience=SERVICE, scope="a").token()
    assert ClientCredentials(client, **other).token() != one


def test_client_credentials_when_it_is_due_and_the_server_is_down(server, client, time):
    source = ClientCredentials(client, audience=SERVICE)
    source.token()
    time.forward(541)
    server.reply = NoAnswer("as.example.com: Timeout")

    assert source.token().access_token == "token-1"
    time.forward(60)
    with pytest.raises(NoAnswer):
        source.token()


def test_client_credentials_forget_when_a_service_refused_it(client):
    source = ClientCredentials(client, audience=SERVICE)
    source.forget(source.token().access_token)
    assert source.token().access_token == "token-2"


SUBJECT = "the-token-of-alice"


def test_exchange_when_the_same_token_comes_again(server, client):
    def one_request():
        return Exchange(client, SUBJECT, audience=SERVICE, scope="a").token().access_token

    assert set(crowd(32, one_request)) == {"token-1"}
    assert server.issued == {names.TOKEN_EXCHANGE: 1}


@pytest.mark.parametrize(
    ("subject", "wanted"),
    [
        ("the-token-of-bob", {"audience": SERVICE, "scope": "a"}),
        (SUBJECT, {"audience": OTHER, "scope": "a"}),
        (SUBJECT, {"audience": SERVICE, "scope": "b"}),
        (SUBJECT, {"audience": SERVICE}),
    ],
)
def test_exchange_when_anything_differs(client, subject, wanted):
    one = Exchange(client, SUBJECT, audience=SERVICE, scope="a").token()
    assert Exchange(client, subject, **wanted).token() != one


def test_exchange_when_it_is_the_services_own(client):
    own = ClientCredentials(client, audience=SERVICE).token()
    assert Exchange(client, SUBJECT, audience=SERVICE).token() != own


def test_exchange_when_the_subject_ends_sooner(server, client, time):
    ends = time() + 30

    def one_request():
        source = Exchange(client, SUBJECT, audience=SERVICE, subject_expires_at=ends)
        return source.token().access_token

    assert one_request() == one_request() == "token-1"
    time.forward(30)
    server.reply = answer(400, error="invalid_request", error_description="Expired.")
    with pytest.raises(InvalidRequestError):
        one_request()


def test_exchange_when_the_exchange_is_refused(server, client):
    source = Exchange(client, SUBJECT, audience=SERVICE)
    server.reply = answer(400, error="invalid_request")
    with pytest.raises(InvalidRequestError):
        source.token()
    server.reply = None
    assert source.token().access_token == "token-1"


def test_cache_when_many_people_come(server, time):
    client = client_of(server, time, max_entries=10)
    for number in range(100):
        Exchange(client, f"subject-{number}", audience=SERVICE).token()
    assert len(client.cache) == 10


def test_cache_when_it_holds_what_was_exchanged(client):
    secret = "a-subject-token-that-nobody-keeps"
    Exchange(client, secret, audience=SERVICE).token()
    assert secret not in reachable_text(client.cache)


def test_exchange_when_there_is_no_token(client):
    with pytest.raises(ValueError, match="no token"):
        Exchange(client, "", audience=SERVICE)


def reachable_text(start):
    """Every string that can be reached from an object through its containers and attributes."""
    seen, todo, found = set(), [start], []
    while todo:
        one = todo.pop()
        if id(one) in seen or isinstance(one, type) or type(one).__name__ in {"module", "function"}:
            continue
        seen.add(id(one))
        if isinstance(one, str):
            found.append(one)
        todo.extend(gc.get_referents(one))
    assert any(text.startswith("token-") for text in found)
    return "\n".join(found)
