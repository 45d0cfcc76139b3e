"""Attacks on the JSON interfaces (SECURITY.md B11, G4, G5, G8, G10, G11, G13, G17)."""

import json
import uuid
from io import BytesIO

import pytest
from rest_framework.throttling import BaseThrottle

from delegation_app.services.delegations import listing
from delegation_app.views.api.endpoint import ApiEndpoint
from tests.admin.conftest import browser
from tests.support import SecureClient
from tests.support.answers import each, nothing_stored, recorded
from tests.support.api import ALL_OF_MINE, JSON, MANY, MINE, THEIRS, did, got, mine, refused, theirs
from tests.support.chains import Chain
from tests.support.connections import LIST
from tests.support.world import Story, delegation_of

ORIGIN = {"HTTP_ORIGIN": "https://testserver"}


@pytest.fixture
def chain(story):
    return Chain(story)


@pytest.fixture
def operator(db):
    return browser("operator")


def posts(chain):
    """Each deed with a body that would do it."""
    return {
        mine(chain.rows[0], "end"): {"reason": "x"},
        mine(chain.rows[0], "narrow"): {"scopes": ["read:metrics"]},
        ALL_OF_MINE: {"confirm": "x"},
        theirs(chain.rows[0], "revoke"): {"reason": "x"},
        theirs(chain.rows[0], "narrow"): {"scopes": ["read:metrics"], "reason": "x"},
        MANY: {"filter": {"user": "alice"}},
    }


def person_of(address, story, operator):
    return operator if address.startswith(THEIRS) else story.browser


def test_id_when_it_is_another_persons_or_nobodys(chain, world, operator):
    bob = Story(world, world.bob).browser
    odd = [uuid.uuid4(), "1", "x", "%00", "%ff", "{}", "9" * 200]
    odd += [str(chain.rows[0].public_id).upper(), chain.rows[0].public_id.hex]
    addresses = {
        MINE: [bob, *(row.public_id for row in chain.rows), *odd],
        THEIRS: [operator, *odd],
    }
    with nothing_stored(), recorded():
        for start, (client, *keys) in addresses.items():
            texts = set()
            for key in keys:
                for answer in (
                    client.get(f"{start}{key}"),
                    client.get(f"{start}{key}/{'end' if start == MINE else 'revoke'}"),
                    client.post(f"{start}{key}/narrow", '{"scopes": ["read:metrics"]}', JSON),
                    client.post(
                        f"{start}{key}/{'end' if start == MINE else 'revoke'}",
                        '{"reason": "x"}',
                        JSON,
                    ),
                ):
                    refused(answer, "not_found", 404)
                    texts.add(answer.content)
            assert len(texts) == 1
    assert got(bob, MINE)["connections"] == []


def test_app_when_only_others_use_it(chain, world):
    bob = Story(world, world.bob).browser
    confirm = got(bob, ALL_OF_MINE)["confirm"]
    for app in ("web", "nobody"):
        refused(bob.get(ALL_OF_MINE, {"app": app}), "not_found", 404)
        did(bob, ALL_OF_MINE, status=409, app=app, confirm=confirm)


def test_bearer_token_when_presented(chain, client):
    header = {"HTTP_AUTHORIZATION": f"Bearer {chain.tokens[0]}"}
    for address in (MINE, mine(chain.rows[0]), THEIRS, theirs(chain.rows[0])):
        refused(client.get(address, **header), "not_signed_in", 401)


def test_deed_when_the_csrf_token_is_missing_wrong_or_from_elsewhere(chain, world, csrf_client):
    alice = world.alice
    alice.is_staff = alice.is_superuser = True
    alice.save()
    csrf_client.force_login(alice)
    assert csrf_client.get(MINE).status_code == 200
    token = csrf_client.cookies["csrftoken"].value
    with nothing_stored(), recorded():
        for address, body in posts(chain).items():
            for headers in (
                ORIGIN,
                {"HTTP_X_CSRFTOKEN": "x" * 32, **ORIGIN},
                {"HTTP_X_CSRFTOKEN": token, "HTTP_ORIGIN": "https://evil.example"},
                {"HTTP_X_CSRFTOKEN": token, "HTTP_ORIGIN": "null"},
                {"HTTP_X_CSRFTOKEN": token},
            ):
                answer = csrf_client.post(address, json.dumps(body), JSON, **headers)
                refused(answer, "csrf_failed", 403)
            # A form's field does not reach it, nor does a form
            form = csrf_client.post(address, {"csrfmiddlewaretoken": token}, **ORIGIN)
            refused(form, "unsupported_media_type", 415)
    good = {"HTTP_X_CSRFTOKEN": token, **ORIGIN}
    for junk in ("deep", "wide", "cut off"):
        answer = csrf_client.post(mine(chain.rows[0], "end"), BAD_BODIES[junk], JSON, **good)
        refused(answer, "invalid_request")
    answer = csrf_client.post(mine(chain.rows[0], "end"), "{}", JSON, **good)
    assert answer.json() == {"ended": 3}


def test_deed_when_another_person_signed_in_meanwhile(chain, world, story):
    bobs = Story(world, world.bob).tokens(world.mobile)
    confirm = got(story.browser, ALL_OF_MINE)["confirm"]
    story.browser.force_login(world.bob)
    with nothing_stored(), recorded():
        assert did(story.browser, ALL_OF_MINE, status=409, confirm=confirm)["error"]
        did(story.browser, mine(chain.rows[0], "end"), status=404)
    assert story.is_active(bobs["access_token"])
    assert got(story.browser, mine(delegation_of(bobs)))["connection"]["app"] == "Mobile"


def test_csrf_token_when_another_person_signs_in(chain, world):
    client = SecureClient(enforce_csrf_checks=True)
    client.force_login(world.alice)
    client.get(MINE)
    token = client.cookies["csrftoken"].value
    assert client.login(username="bob", password="correct horse battery staple")
    mobile = delegation_of(Story(world, world.bob).tokens(world.mobile))
    client.cookies["csrftoken"] = "y" * 32
    answer = client.post(mine(mobile, "end"), "{}", JSON, HTTP_X_CSRFTOKEN=token, **ORIGIN)
    refused(answer, "csrf_failed", 403)


def test_address_when_it_is_crafted(chain, story, operator):
    with nothing_stored(), recorded():
        for address in posts(chain):
            client = person_of(address, story, operator)
            for method in ("put", "patch", "delete", "head", "options", "trace"):
                answer = getattr(client, method)(address)
                assert answer.status_code == 405, (address, method)
                if method not in {"head", "trace"}:
                    refused(answer, "method_not_allowed", 405)
            answer = client.get(f"{address}?_method=POST", HTTP_X_HTTP_METHOD_OVERRIDE="POST")
            assert answer.status_code in {400, 405}


BAD_BODIES = {
    "empty": b" ", "no object": b"[]", "text": b'"x"', "null": b"null",
    "cut off": b'{"reason": "x"', "twice": b'{"reason": "x", "reason": "x"}',
    "unknown": b'{"reason": "x", "no_such": 1}', "nul": b'{"reason": "a\\u0000b"}',
    "surrogate": b'{"reason": "\\ud800"}', "name": b'{"\\ud800": "x"}',
    "latin": '{"reason": "ä"}'.encode("latin-1"), "utf-16": '{"reason": "x"}'.encode("utf-16"),
    "bom": b'\xef\xbb\xbf{"reason": "x"}', "number": b'{"reason": 1}', "list": b'{"reason": ["x"]}',
    "not a number": b'{"reason": NaN}', "infinite": b'{"reason": 1e999}',
    "large": b'{"limit": 9223372036854775808, "reason": "x"}',
    "digits": b'{"reason": ' + b"9" * 5000 + b"}",
    "deep": b'{"reason": ' + b"[" * 30000 + b"]" * 30000 + b"}",
    "nested": b'{"reason": ' + b'{"a":' * 20 + b"1" + b"}" * 21,
    "wide": b'{"reason": [' + b"1," * 40000 + b"1]}", "long": b'{"reason": "' + b"x" * 256 + b'"}',
}  # fmt: skip


def test_body_when_it_is_junk(chain, story, operator):
    with nothing_stored(), recorded():
        for name, body in BAD_BODIES.items():
            for address in posts(chain):
                with each((name, address)):
                    client = person_of(address, story, operator)
                    refused(client.post(address, body, JSON), "invalid_request")


@pytest.mark.parametrize(
    "kind",
    [
        "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain",
        "application/json; charset=utf-16", "application/problem+json", "",
    ],
)  # fmt: skip
def test_body_when_it_is_of_another_kind(chain, story, operator, client, kind):
    with nothing_stored(), recorded():
        for address, body in posts(chain).items():
            for who in (person_of(address, story, operator), client):
                answer = who.generic("POST", address, json.dumps(body), kind)
                refused(answer, "unsupported_media_type", 415)


def test_body_when_it_is_shorter_than_announced(chain, story, operator):
    for address, members in posts(chain).items():
        client, body = person_of(address, story, operator), json.dumps(members)
        for length in ("500", "70000", "1e3", "-1"):
            sent = {"CONTENT_LENGTH": length, "wsgi.input": BytesIO(body.encode())}
            answer = client.generic("POST", address, body, JSON, **sent)
            refused(answer, "invalid_request")


VALUES = {
    "limit": ["0", "-1", "101", "2147483648", "9" * 400, "1e309", "1.0", "٣", " 1", "+1", "0x1"],
    "cursor": ["x", "~", "1.1~x", "0", "9" * 400, "1795332944253188.3~AAAA"],
    "no_such": ["1"],
    "_connector": ["OR"],
    "order_by": ["subject"],
    "offset": ["1"],
}
MINE_ONLY = {
    "show": ["x", "LIVE"],
    "unused_days": ["0", "-1", "3651", "٣", "9" * 30],
    "before": [str(uuid.uuid4())],
}
THEIRS_ONLY = {
    "state": ["x", "LIVE", "live,revoked"],
    "grant_type": ["x"],
    "has_children": ["1", "yes", "True", ""],
    "issued_after": ["1", "2026-01-01", "2026-01-01T00:00:00", "٢026-01-01T00:00:00Z"],
    "issued_before": [
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "2026-02-30T00:00:00Z",
    ],
    "last_used_before": ["now", "1e309", "2026-01-01T00:00:00+99:00"],
    "parent_id": ["1", "x", "{" + str(uuid.uuid4()) + "}", str(uuid.uuid4()).upper()],
    "root_id": ["1", str(uuid.uuid4().hex)],
    "subject__startswith": ["user"],
    "principal_user__password": ["x"],
    "user": ["a" * 256, ""],
}


def test_query_when_it_is_junk(chain, story, operator):
    for address, client, more in (
        (MINE, story.browser, MINE_ONLY),
        (THEIRS, operator, THEIRS_ONLY),
    ):
        for name, values in {**VALUES, **more}.items():
            for value in values:
                with each((name, value)):
                    refused(client.get(address, {name: value}), "invalid_request")
        for query in (
            "limit=1&limit=1", "limit=1&limit=2", "limit=1;limit=2", "limit", "%00=1", "limit=%00",
            "limit=%ff", "cursor=%ed%a0%80", "&".join(f"a{number}=1" for number in range(101)),
            "a=" + "x" * 70000,
        ):  # fmt: skip
            with each(query[:40]):
                answer = client.get(address, QUERY_STRING=query)
                refused(answer, "invalid_request")


def test_query_when_an_address_takes_none(chain, story, operator):
    for address in (mine(chain.rows[0]), mine(chain.rows[0], "end")):
        refused(story.browser.get(f"{address}?limit=1"), "invalid_request")
    for address in (theirs(chain.rows[0]), theirs(chain.rows[0], "revoke")):
        refused(operator.get(f"{address}?limit=1"), "invalid_request")
    with nothing_stored(), recorded():
        for address, body in posts(chain).items():
            client = person_of(address, story, operator)
            answer = client.post(f"{address}?reason=x", json.dumps(body), JSON)
            refused(answer, "invalid_request")


def test_text_when_it_looks_like_a_statement(chain, operator):
    for name in ("subject", "user", "client", "audience"):
        for value in ("' OR 1=1 --", "%", "_", "\\", "alice%", "*", "user:%", "é'\""):
            assert got(operator, THEIRS, **{name: value})["delegations"] == []


def test_cursor_when_a_character_changes_or_it_is_of_another_list(chain, story, operator):
    story.tokens(story.world.mobile)
    for client, address in ((story.browser, MINE), (operator, THEIRS)):
        cursor = got(client, address, limit=1)["next"]
        assert got(client, address, limit=1, cursor=cursor)
        for place in range(len(cursor)):
            other = "A" if cursor[place] != "A" else "B"
            bent = cursor[:place] + other + cursor[place + 1 :]
            answer = client.get(address, {"limit": "1", "cursor": bent})
            assert answer.status_code == 400, bent
        for bent in (cursor + "A", cursor[:-1], cursor + "=", " " + cursor, cursor.upper()):
            refused(client.get(address, {"cursor": bent}), "invalid_request")
    of_all, of_mine = (
        got(c, a, limit=1)["next"] for c, a in ((operator, THEIRS), (story.browser, MINE))
    )
    refused(operator.get(THEIRS, {"cursor": of_mine}), "invalid_request")
    refused(story.browser.get(MINE, {"cursor": of_all}), "invalid_request")
    refused(operator.get(THEIRS, {"cursor": of_all, "state": "live"}), "invalid_request")
    refused(story.browser.get(MINE, {"cursor": of_mine, "show": "all"}), "invalid_request")
    story.browser.force_login(story.world.bob)
    refused(story.browser.get(MINE, {"cursor": of_mine}), "invalid_request")


def test_request_when_it_wants_another_format_or_comes_in_the_clear(
    chain, client, plain_http_client, world
):
    for address in (MINE, THEIRS):
        refused(client.get(address, HTTP_ACCEPT="text/html"), "not_signed_in", 401)
        refused(client.get(f"{address}?format=api"), "not_signed_in", 401)
        plain_http_client.force_login(world.alice)
        refused(plain_http_client.get(address), "invalid_request")
    assert client.get(LIST).status_code == 302


def test_throttle_when_the_site_has_one(chain, story, operator, monkeypatch):
    class Full(BaseThrottle):
        def allow_request(self, request, view):
            return False

        def wait(self):
            return 6.5

    monkeypatch.setattr(ApiEndpoint, "throttle_classes", (Full,))
    for client, address in ((story.browser, MINE), (operator, THEIRS)):
        answer = client.get(address)
        refused(answer, "temporarily_unavailable", 429)
        assert answer["Retry-After"] == "7"


def test_error_when_nobody_thought_of_it(operator, monkeypatch):
    monkeypatch.setattr(listing, "page", lambda *_: 1 / 0)
    answer = operator.get(THEIRS)
    refused(answer, "server_error", 500)
    assert b"zero" not in answer.content
