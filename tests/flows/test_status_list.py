"""The status list as whoever verifies tokens sees it: over HTTP, with PyJWT and the keys alone."""

import gzip
import threading
import zlib
from dataclasses import replace

import jwt
import pytest

from delegation_app.models import AccessToken
from delegation_app.protocol.secrets import new_token_id
from delegation_app.protocol.status_list import StatusList
from delegation_app.services import signing_keys
from delegation_app.services.status_lists import cache, publication
from delegation_app.services.status_lists.publication import SIZE
from tests.support.answers import each, never_stored, nothing_stored, recorded
from tests.support.broken_database import failing
from tests.support.chains import Chain
from tests.support.statuses import ORIGIN, fetched, reference, status
from tests.support.world import Story, claims_of

METADATA = "/.well-known/oauth-authorization-server"
MEDIA_TYPE = "application/statuslist+jwt"


@pytest.fixture
def token(story):
    return story.tokens()["access_token"]


@pytest.fixture
def path(token):
    return reference(token)[0]


def verified(story, body):
    """Verify a list as somebody who knows the metadata, the keys and PyJWT, and nothing of us."""
    published = jwt.PyJWKSet.from_dict(story.wire.get("/oauth/jwks").json())
    header = jwt.get_unverified_header(body)
    key = published[header["kid"]]
    claims = jwt.decode(
        body,
        key,
        algorithms=[key.algorithm_name],
        issuer=story.wire.get(METADATA).json()["issuer"],
        options={"require": ["iss", "sub", "iat", "exp"]},
    )
    return header, claims


def refused(response, code):
    assert response.status_code == code
    assert response["Content-Type"] == "application/json"
    never_stored(response)
    assert response["Access-Control-Allow-Origin"] == "*"
    assert "ETag" not in response
    assert response.json()["error_description"]


# What a token says


@pytest.mark.conformance("SL-01")
@pytest.mark.parametrize("grant", ["code", "refresh", "client", "exchange", "device"])
def test_token_when_issued_by_any_grant(story, grant):
    answer = {
        "code": story.tokens,
        "refresh": lambda: story.refresh(story.tokens()["refresh_token"]).json(),
        "client": lambda: story.client_credentials().json(),
        "exchange": lambda: story.exchange(story.tokens()["access_token"]).json(),
        "device": lambda: story.poll(story.approved()).json(),
    }[grant]()
    claims = claims_of(answer["access_token"])
    assert claims["status"].keys() == {"status_list"}
    entry = claims["status"]["status_list"]
    assert type(entry["idx"]) is int
    assert entry["idx"] >= 0
    assert entry["uri"].startswith("https://as.example.com/oauth/status/")
    assert status(story, answer["access_token"]) == 0


@pytest.mark.conformance("SL-14", "SL-15", "SL-19")
def test_tokens_when_many_are_issued(story):
    entries = [reference(story.client_credentials().json()["access_token"]) for _ in range(40)]
    assert len({index for _, index in entries}) == 40
    assert len({uri for uri, _ in entries}) == 1
    indices = [index for _, index in entries]
    assert indices not in (sorted(indices), sorted(indices, reverse=True))


@pytest.mark.conformance("SL-15")
def test_token_when_refreshed(story):
    answer = story.tokens()
    again = story.refresh(answer["refresh_token"]).json()
    retry = story.refresh(answer["refresh_token"]).json()
    assert len({reference(one["access_token"]) for one in (answer, again, retry)}) == 3


# What the list says


@pytest.mark.conformance("SL-02", "SL-04", "SL-05", "SL-06", "SL-18", "SL-22")
def test_list_when_fetched_is_signed(story, token, path):
    response = story.wire.get(path)
    header, claims = verified(story, response.content.decode())
    assert header.keys() == {"alg", "typ", "kid"}
    assert header["typ"] == "statuslist+jwt"
    assert header["alg"] in {"ES256", "RS256", "EdDSA"}
    assert claims["sub"] == claims_of(token)["status"]["status_list"]["uri"]
    assert claims["iss"] == claims_of(token)["iss"]
    assert (claims["ttl"], claims["exp"] - claims["iat"]) == (5, 300)
    entry = claims["status_list"]
    assert entry.keys() == {"bits", "lst"}
    assert entry["bits"] == 1
    assert "=" not in entry["lst"]
    assert len(zlib.decompress(jwt.utils.base64url_decode(entry["lst"]))) * 8 == SIZE


@pytest.mark.conformance("SL-12", "SL-20")
def test_list_when_a_root_is_revoked(story, world):
    chain = Chain(story)
    other = Story(world, world.bob).tokens()["access_token"]
    assert [status(story, token) for token in (*chain.tokens, other)] == [0, 0, 0, 0]
    story.revoke(chain.answers[0]["refresh_token"])
    assert [status(story, token) for token in (*chain.tokens, other)] == [1, 1, 1, 0]


@pytest.mark.conformance("SL-21")
def test_list_when_presented_as_an_access_token(story, token, path):
    body = story.wire.get(path).content.decode()
    assert story.introspect(body).json() == {"active": False}
    assert story.exchange(body).json()["error"] == "invalid_request"
    assert story.revoke(body).status_code == 200
    assert story.is_active(token)


# How it is served


@pytest.mark.conformance("SL-07", "SL-08", "SL-10")
def test_list_when_fetched_has_its_headers(story, token, path):
    response = story.wire.get(path)
    assert response.status_code == 200
    assert response["Content-Type"] == MEDIA_TYPE
    assert response.content.count(b".") == 2
    assert response["Access-Control-Allow-Origin"] == "*"
    assert response["ETag"].startswith('"')
    assert {part.strip() for part in response["Vary"].split(",")} >= {"Accept", "Accept-Encoding"}
    assert response["Cache-Control"] == "public, max-age=1"
    assert "Content-Encoding" not in response
    assert not response.cookies
    head = story.wire.head(path)
    assert (head.status_code, head.content) == (200, b"")
    for name in ("ETag", "Content-Type", "Cache-Control", "Vary"):
        assert head[name] == response[name]


@pytest.mark.conformance("SL-10")
@pytest.mark.parametrize(
    "case", [(1, 5, 0, 1), (0, 5, 0, 0), (60, 5, 0, 5), (60, 300, 149, 60), (200, 200, 149, 151)]
)
def test_list_when_it_may_be_kept(clock, story, settings, case):
    cached, ttl, forward, expected = case
    settings.DELEGATION = {
        **settings.DELEGATION,
        "STATUS_LIST_CACHE_SECONDS": cached,
        "STATUS_LIST_TTL": ttl,
    }
    path = reference(story.tokens()["access_token"])[0]
    clock.forward(seconds=1)
    story.wire.get(path)
    clock.forward(seconds=forward)
    response = story.wire.get(path)
    claims = claims_of(response.content.decode())
    age = int(response["Cache-Control"].removeprefix("public, max-age="))
    assert age == expected
    assert age <= min(claims["ttl"], claims["exp"] - clock.time.timestamp())


@pytest.mark.conformance("SL-07")
def test_list_when_an_accept_is_sent(story, path):
    for accept, code in [
        (None, 200), ("*/*", 200), ("application/*", 200), (MEDIA_TYPE, 200),
        (f"application/statuslist+cwt, {MEDIA_TYPE};q=0.5", 200), ("text/html, */*;q=0.1", 200),
        ("Application/StatusList+JWT", 200), ("application/statuslist+cwt", 406),
        ("application/json", 406), ("text/html", 406), ("text/*", 406), (f"{MEDIA_TYPE};q=0", 406),
    ]:  # fmt: skip
        with each((accept, code)):
            headers = {} if accept is None else {"HTTP_ACCEPT": accept}
            response = story.wire.get(path, **headers)
            if code == 200:
                assert (response.status_code, response["Content-Type"]) == (200, MEDIA_TYPE)
            else:
                refused(response, code)
                assert "Accept" in response["Vary"]


@pytest.mark.conformance("SL-08", "SL-10")
def test_list_when_gzip_is_accepted(story, path):
    for encoding, zipped in [
        ("gzip", True), ("GZIP", True), ("br, gzip;q=0.5, *;q=0", True), ("*", True),
        ("x-gzip", True), ("gzip;q=0", False), ("gzip; q=0.000", False), ("*;q=0", False),
        ("gzip;q=0, *", False), ("identity", False), ("br", False), ("", False), (";;,=;q", False),
    ]:  # fmt: skip
        with each((encoding, zipped)):
            plain = story.wire.get(path)
            response = story.wire.get(path, HTTP_ACCEPT_ENCODING=encoding)
            assert response.status_code == 200
            assert (response.get("Content-Encoding") == "gzip") is zipped
            assert (response["ETag"] != plain["ETag"]) is zipped
            body = gzip.decompress(response.content) if zipped else response.content
            assert body == plain.content
            again = story.wire.get(
                path, HTTP_ACCEPT_ENCODING=encoding, HTTP_IF_NONE_MATCH=response["ETag"]
            )
            assert (again.status_code, again.content) == (304, b"")
            other = '"x"' if not zipped else plain["ETag"]
            known = story.wire.get(path, HTTP_ACCEPT_ENCODING=encoding, HTTP_IF_NONE_MATCH=other)
            assert known.status_code == 200


@pytest.mark.conformance("SL-10")
def test_list_when_it_is_known_already(story, path):
    for form in ["{}", "W/{}", '"x", {}', "*"]:
        with each(form):
            first = story.wire.get(path)
            for ask in (story.wire.get, story.wire.head):
                response = ask(path, HTTP_IF_NONE_MATCH=form.format(first["ETag"]))
                assert (response.status_code, response.content) == (304, b"")
                for name in ("ETag", "Cache-Control", "Vary", "Access-Control-Allow-Origin"):
                    assert response[name] == first[name]


@pytest.mark.conformance("SL-10", "SL-20")
def test_list_when_something_changed(story, token, path):
    tag = story.wire.get(path)["ETag"]
    story.revoke(token)
    response = story.wire.get(path, HTTP_IF_NONE_MATCH=tag)
    assert response.status_code == 200
    assert response["ETag"] != tag


def test_list_when_the_method_is_wrong(story, path):
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"]:
        with each(method):
            for address in (path, "/oauth/status"):
                response = story.wire.generic(method, address)
                refused(response, 405)
                assert response["Allow"] == "GET, HEAD"


@pytest.mark.conformance("SL-16")
def test_list_when_asked_for_another_time(story, path):
    for query in ["time=1", "time=", "time=1&time=2", "x=1&time=1686920170"]:
        with each(query):
            refused(story.wire.get(f"{path}?{query}"), 501)
            assert story.wire.get(f"{path}?other=1").status_code == 200


def test_list_when_its_name_is_another_key_or_later_list(story, path):
    number = int(path.rsplit("/", 1)[1])
    for other in (number + 1, number + (2 << 32)):
        refused(story.wire.get(f"/oauth/status/{other}"), 404)
    assert story.wire.get(f"/oauth/status/{number + (1 << 32)}").status_code == 200


@pytest.mark.conformance("SL-19")
def test_list_when_all_its_tokens_have_expired(clock, story):
    path = reference(story.tokens()["access_token"])[0]
    row = AccessToken.objects.get()
    row.pk, row.jti = SIZE + 1, new_token_id()
    row._state.adding = True
    row.save(force_insert=True)
    assert story.wire.get(path).status_code == 200
    clock.forward(seconds=661)
    refused(story.wire.get(path), 410)
    assert story.wire.head(path).status_code == 410
    assert f"{ORIGIN}{path}" not in story.wire.get("/oauth/status").json()["status_lists"]


def test_list_when_the_database_is_gone(clock, story):
    path = reference(story.tokens()["access_token"])[0]
    clock.forward(seconds=1)
    kept = story.wire.get(path)
    assert "Age" not in kept
    with failing():
        assert "Age" not in story.wire.get(path)
        for passed in (2, 100, 299):
            clock.forward(seconds=passed - int(story.wire.get(path).get("Age", 0)))
            for headers in ({}, {"HTTP_IF_NONE_MATCH": kept["ETag"]}):
                response = story.wire.get(path, **headers)
                assert response.status_code == (304 if headers else 200)
                assert response.content == (b"" if headers else kept.content)
                assert int(response["Age"]) == passed
        clock.forward(seconds=1)
        for address in (path, "/oauth/status"):
            response = story.wire.get(address)
            refused(response, 503)
            assert int(response["Retry-After"]) > 0
            assert b"secret-host" not in response.content
    assert "Age" not in story.wire.get(path)


def test_list_when_the_database_is_gone_for_many_callers(clock, story):
    path = reference(story.tokens()["access_token"])[0]
    clock.forward(seconds=1)
    story.wire.get(path)
    clock.forward(seconds=5)
    with failing() as failure:
        for _ in range(5):
            assert story.wire.get(path)["Age"] == "5"
    assert failure.statements == 1


def test_list_when_it_could_not_be_made_and(clock, story):
    tokens = story.tokens()
    path, index = reference(tokens["access_token"])
    clock.forward(seconds=1)
    story.wire.get(path)
    clock.forward(seconds=1)
    with failing():
        assert story.wire.get(path).status_code == 200
    story.revoke(tokens["refresh_token"])
    assert StatusList.parse(fetched(story, path)["status_list"])[index] == 1


def test_list_when_another_caller_is_kept_waiting(clock, story, monkeypatch):
    path = reference(story.tokens()["access_token"])[0]
    clock.forward(seconds=1)
    kept = story.wire.get(path)
    clock.forward(seconds=5)
    monkeypatch.setattr(publication, "_PATIENCE", 0.01)
    lock = threading.Lock()
    monkeypatch.setattr(publication, "_LOCKS", (lock,))
    with lock:
        response = story.wire.get(path)
    assert (response.content, response["Age"]) == (kept.content, "5")


@pytest.mark.parametrize("statement", range(1, 9))
def test_list_when_any_statement_fails(story, path, statement):
    cache.changed()
    with failing(statement, lasting=False) as failure:
        response = story.wire.get(path)
    assert failure.happened
    refused(response, 503)
    assert story.wire.get(path).status_code == 200


def test_list_when_fetched_writes_nothing(story, path):
    with nothing_stored(), recorded():
        response = story.browser.get(path)
    assert response.status_code == 200
    assert "Cookie" not in response["Vary"]
    assert not response.cookies


def test_list_when_the_host_is_forged(story, token):
    forged = {"HTTP_HOST": "evil.example", "HTTP_X_FORWARDED_HOST": "evil.example"}
    path, _ = reference(token)
    claims = fetched(story, path, **forged)
    assert claims["sub"] == f"{ORIGIN}{path}"
    told = story.wire.get("/oauth/status", **forged).json()["status_lists"]
    assert all(uri.startswith(f"{ORIGIN}/oauth/status/") for uri in told)


@pytest.mark.conformance("SL-17")
def test_aggregation_when_followed_from_the_metadata(story, token):
    endpoint = story.wire.get(METADATA).json()["status_list_aggregation_endpoint"]
    assert endpoint == f"{ORIGIN}/oauth/status"
    response = story.wire.get(endpoint.removeprefix(ORIGIN))
    assert (response.status_code, response["Content-Type"]) == (200, "application/json")
    assert response["Access-Control-Allow-Origin"] == "*"
    body = response.json()
    assert body.keys() == {"status_lists"}
    assert f"{ORIGIN}{reference(token)[0]}" in body["status_lists"]
    for uri in body["status_lists"]:
        assert fetched(story, uri.removeprefix(ORIGIN))["sub"] == uri
    again = story.wire.get("/oauth/status", HTTP_IF_NONE_MATCH=response["ETag"])
    assert again.status_code == 304


# The other documents


@pytest.mark.parametrize("document", ["/oauth/jwks", METADATA])
def test_document_when_it_is_known_already(story, document):
    first = story.wire.get(document)
    assert first.status_code == 200
    again = story.wire.get(document, HTTP_IF_NONE_MATCH=first["ETag"])
    assert (again.status_code, again.content) == (304, b"")
    for name in ("ETag", "Cache-Control", "Access-Control-Allow-Origin"):
        assert again[name] == first[name]
    assert story.wire.get(document, HTTP_IF_NONE_MATCH='"other"').content == first.content


def test_jwks_when_another_process_withdraws_a_key(story):
    first = story.wire.get("/oauth/jwks")
    known = dict(signing_keys._memory.known.published)
    withdrawn = signing_keys.signer().kid
    signing_keys._rotate(publication.signing_keys.audit.RequestContext(), force=True, withdraw=True)
    # As it is in a process that has not heard of it
    assert signing_keys._memory.known.published == known
    response = story.wire.get("/oauth/jwks", HTTP_IF_NONE_MATCH=first["ETag"])
    assert response.status_code == 200
    assert withdrawn not in {key["kid"] for key in response.json()["keys"]}


def test_jwks_when_the_database_has_been_gone_for_long(story, monkeypatch):
    assert story.wire.get("/oauth/jwks").status_code == 200
    old = replace(signing_keys._memory.known, read_at=float("-inf"))
    monkeypatch.setattr(signing_keys._memory, "known", old)
    with failing():
        assert story.wire.get("/oauth/jwks").status_code == 503
