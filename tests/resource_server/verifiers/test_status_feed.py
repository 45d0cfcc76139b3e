"""The status lists of the issuer: how recent they are, and what is refused when they are not."""

import pytest

from delegation_app.client.http.transport import Response
from delegation_app.protocol.errors import InvalidToken, TemporarilyUnavailable
from delegation_app.protocol.status_list import StatusList
from tests.resource_server.issuer import LIST, NOW, made_key

pytestmark = pytest.mark.any_database


def refused(verifier, token, error=InvalidToken):
    with pytest.raises(error):
        verifier.verify(token)


@pytest.mark.conformance("RS-07", "SL-09")
def test_token_when_revoked(issuer):
    verifier, token = issuer.verifier(), issuer.token()
    assert verifier.verify(token)
    issuer.revoked[LIST].add(3)
    assert verifier.verify(token)
    issuer.pass_time(5)
    verifier.refresh()
    refused(verifier, token)


@pytest.mark.parametrize("status", [1, 2, 3])
def test_status_when_any_but_valid(issuer, status):
    listed = StatusList.of([0, 0, 0, status], bits=2).as_json()
    issuer.answers[LIST] = Response(200, {}, issuer.status_list(status_list=listed).encode())
    refused(issuer.verifier(), issuer.token())


@pytest.mark.conformance("SL-11")
def test_index_when_beyond_the_list(issuer):
    beyond = {"status_list": {"idx": issuer.size, "uri": LIST}}
    refused(issuer.verifier(), issuer.token(status=beyond))


@pytest.mark.conformance("RS-07")
def test_list_when_it_is_stale(issuer):
    verifier, token = issuer.verifier(max_staleness=15), issuer.token()
    verifier.verify(token)
    issuer.down.add(LIST)

    for _ in range(3):
        issuer.pass_time(5)
        verifier.refresh()
    assert verifier.verify(token)
    issuer.pass_time(0.1)

    refused(verifier, token, TemporarilyUnavailable)
    issuer.down.clear()
    verifier.refresh()
    assert verifier.verify(token)


def served(issuer, age, status=200):
    """The list as an issuer or a cache has it that could not make sure of it for so long."""
    etag, body = issuer.document(LIST)
    headers = {"etag": etag, "age": str(age)}
    return Response(status, headers, body if status == 200 else b"")


@pytest.mark.parametrize("status", [200, 304])
def test_list_when_the_issuer_could_not_make_sure_of_it(issuer, status):
    verifier, token = issuer.verifier(max_staleness=15), issuer.token()
    verifier.verify(token)
    for age, passed in ((5, 5), (10, 5), (15, 5)):
        issuer.pass_time(passed)
        issuer.answers[LIST] = served(issuer, age, status)
        verifier.refresh()
        assert verifier.verify(token)
    issuer.pass_time(1)
    issuer.answers[LIST] = served(issuer, 16, status)
    verifier.refresh()

    # As if it had not answered at all: nobody knows what was revoked since
    refused(verifier, token, TemporarilyUnavailable)
    issuer.answers.clear()
    verifier.refresh()
    assert verifier.verify(token)


@pytest.mark.parametrize("age", [20, "99999999999999999999"])
def test_list_when_the_first_one_is_too_old(issuer, age):
    issuer.answers[LIST] = served(issuer, age)
    refused(issuer.verifier(max_staleness=15), issuer.token(), TemporarilyUnavailable)


@pytest.mark.parametrize("age", ["", "-5", "x", "1.5", "\u0661"])
def test_list_when_the_age_is_no_number(issuer, age):
    issuer.answers[LIST] = served(issuer, age)
    assert issuer.verifier(max_staleness=15).verify(issuer.token())


def test_list_when_an_older_one_comes_from_another_node(issuer):
    verifier, token = issuer.verifier(max_staleness=15), issuer.token()
    old = served(issuer, 12)
    issuer.revoked[LIST].add(3)
    refused(verifier, token)
    issuer.pass_time(1)
    issuer.answers[LIST] = old
    verifier.refresh()
    refused(verifier, token)


def test_list_when_it_was_never_there(issuer):
    issuer.down.add(LIST)
    verifier, token = issuer.verifier(), issuer.token()

    for _ in range(50):
        refused(verifier, token, TemporarilyUnavailable)
    assert issuer.asked_for(LIST) == 1
    issuer.pass_time(5)
    issuer.down.clear()

    assert verifier.verify(token)


def test_list_when_unchanged(issuer):
    verifier, token = issuer.verifier(), issuer.token()
    verifier.verify(token)
    for _ in range(20):
        issuer.pass_time(5)
        verifier.refresh()
    assert verifier.verify(token)
    assert issuer.asked[-1].headers["If-None-Match"].startswith('"[]-')


@pytest.mark.conformance("SL-09")
def test_list_when_it_has_expired(issuer):
    issuer.list_lifetime = 20
    verifier, token = issuer.verifier(max_staleness=1000), issuer.token()
    verifier.verify(token)
    issuer.pass_time(29)
    assert verifier.verify(token)
    issuer.pass_time(1)
    refused(verifier, token, TemporarilyUnavailable)


@pytest.mark.parametrize(
    "changes",
    [
        {"sub": f"{LIST}0"},
        {"sub": None},
        {"iss": "https://evil.example.com"},
        {"exp": NOW - 60},
        {"iat": NOW + 60},
        {"typ": "at+jwt"},
        {"typ": "JWT"},
        {"key": "another"},
        {"status_list": {"bits": 3, "lst": "eNrbuRgAAhcBXQ"}},
        {"status_list": {"bits": 1, "lst": "eNrbuRgAAhcBXQ=="}},
        {"status_list": {"bits": 1, "lst": "not deflated"}},
        {"status_list": {"bits": 1}},
        {"status_list": []},
    ],
    ids=str,
)
@pytest.mark.conformance("SL-11", "SL-18", "SL-02", "SL-04")
def test_list_when_it_is_not_as_it_should_be(issuer, changes):
    if "key" in changes:
        changes = {"key": made_key()[0]}
    issuer.answers[LIST] = Response(200, {}, issuer.status_list(**changes).encode())
    refused(issuer.verifier(), issuer.token(), TemporarilyUnavailable)


@pytest.mark.parametrize(
    "answer",
    [
        Response(500), Response(404), Response(410), Response(301, {"location": LIST}),
        Response(304), Response(200), Response(200, {}, b"\xff\xfe"),
        Response(200, {}, b"a.b.c"), Response(200, {}, b"." * 100_000),
    ],
    ids=str,
)  # fmt: skip
def test_answer_when_it_is_no_list(issuer, answer):
    issuer.answers[LIST] = answer
    refused(issuer.verifier(), issuer.token(), TemporarilyUnavailable)


def test_list_when_an_older_one_is_sent(issuer):
    verifier, token = issuer.verifier(), issuer.token()
    old = issuer.status_list()
    issuer.pass_time(5)
    issuer.revoked[LIST].add(3)
    refused(verifier, token)

    issuer.answers[LIST] = Response(200, {}, old.encode())
    for _ in range(3):
        issuer.pass_time(5)
        verifier.refresh()
    refused(verifier, token)
    issuer.pass_time(1)

    refused(verifier, token, TemporarilyUnavailable)


def test_list_when_a_bomb(issuer):
    bomb = StatusList(1, bytes(5 * 1024 * 1024)).as_json()
    issuer.answers[LIST] = Response(200, {}, issuer.status_list(status_list=bomb).encode())
    refused(issuer.verifier(), issuer.token(), TemporarilyUnavailable)


@pytest.mark.parametrize(
    "uri",
    [
        "https://evil.example.com/oauth/status/1",
        "http://as.example.com/oauth/status/1",
        "https://as.example.com:8443/oauth/status/1",
        "https://as.example.com@evil.example.com/oauth/status/1",
        "https://as.example.com.evil.test/oauth/status/1",
        "//as.example.com/oauth/status/1",
        "file:///etc/passwd",
        "https://[",
        "",
    ],
)
def test_list_when_elsewhere(issuer, uri):
    verifier = issuer.verifier()
    verifier.verify(issuer.token())
    asked = len(issuer.asked)
    refused(verifier, issuer.token(status={"status_list": {"idx": 1, "uri": uri}}))
    assert len(issuer.asked) == asked


def test_lists_when_there_are_many(issuer):
    verifier = issuer.verifier()
    for number in range(200):
        uri = f"{LIST}{number:03}"
        issuer.revoked[uri] = set()
        verifier.verify(issuer.token(status={"status_list": {"idx": 1, "uri": uri}}))
        issuer.pass_time(0.01)

    issuer.asked.clear()
    verifier.refresh()

    assert len(issuer.asked) <= 64
    assert issuer.asked_for(f"{LIST}199") == 1


def test_list_when_no_token_needed_it_for_long(issuer):
    verifier = issuer.verifier()
    verifier.verify(issuer.token())
    issuer.pass_time(3601)
    issuer.asked.clear()
    verifier.refresh()
    verifier.refresh()
    assert issuer.asked_for(LIST) == 0
