import gc

import pytest

from delegation_app.client import ClientCredentials, Exchange
from delegation_app.client.errors import InvalidRequestError
from delegation_app.protocol import names
from tests.client.crowd import crowd
from tests.client.fakes import OTHER, SERVICE, Server, Time, answer, client_of

SUBJECT = "the-token-of-alice"


@pytest.fixture
def server():
    return Server()


@pytest.fixture
def time():
    return Time()


@pytest.fixture
def client(server, time):
    return client_of(server, time)


def test_token_when_the_same_token_comes_again_then_it_is_exchanged_once(server, client):
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
def test_token_when_anything_differs_then_it_is_exchanged_for_itself(client, subject, wanted):
    one = Exchange(client, SUBJECT, audience=SERVICE, scope="a").token()

    assert Exchange(client, subject, **wanted).token() != one


def test_token_when_it_is_the_services_own_then_it_is_another_one(client):
    own = ClientCredentials(client, audience=SERVICE).token()

    assert Exchange(client, SUBJECT, audience=SERVICE).token() != own


def test_token_when_the_subject_ends_sooner_then_nothing_outlives_it(server, client, time):
    ends = time() + 30

    def one_request():
        source = Exchange(client, SUBJECT, audience=SERVICE, subject_expires_at=ends)
        return source.token().access_token

    assert one_request() == one_request() == "token-1"
    time.forward(30)
    server.reply = answer(400, error="invalid_request", error_description="Expired.")
    with pytest.raises(InvalidRequestError):
        one_request()


def test_token_when_the_exchange_is_refused_then_that_is_not_kept(server, client):
    source = Exchange(client, SUBJECT, audience=SERVICE)
    server.reply = answer(400, error="invalid_request")
    with pytest.raises(InvalidRequestError):
        source.token()
    server.reply = None

    assert source.token().access_token == "token-1"


def test_cache_when_many_people_come_then_it_stays_small(server, time):
    client = client_of(server, time, most_entries=10)
    for number in range(100):
        Exchange(client, f"subject-{number}", audience=SERVICE).token()

    assert len(client.cache) == 10


def test_cache_when_it_holds_what_was_exchanged_then_the_subject_token_is_not_in_it(client):
    secret = "a-subject-token-that-nobody-keeps"
    Exchange(client, secret, audience=SERVICE).token()

    assert secret not in reachable_text(client.cache)


def test_exchange_when_there_is_no_token_then_it_is_refused(client):
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
