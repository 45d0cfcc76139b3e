"""Input that no honest client sends: every parameter of every endpoint, in every bad way.

It gets a 4xx that says what is wrong, never a 5xx, and leaves nothing behind.
"""

import re
from io import BytesIO
from urllib.parse import quote_plus, urlencode

import pytest
from django.db import connection

from delegation_app.models import ConsentRecord
from delegation_app.protocol import names
from tests.support import SecureClient
from tests.support.answers import (
    DESCRIPTION,
    each,
    never_stored,
    nothing_stored,
    recorded,
    refusal_recorded,
    refused,
)
from tests.support.chains import acting_with, own_token
from tests.support.world import (
    FORM,
    REDIRECT_URI,
    SERVICE_A,
    SERVICE_B,
    VERIFIER,
    Story,
    redirected,
)

METADATA = "/.well-known/oauth-authorization-server"

# What is never text, so that it is refused before anybody asks what the parameter means
UNREADABLE = {
    "NUL": b"a%00b", "NUL alone": b"%00", "raw NUL": b"a\x00b", "lone surrogate": b"%ED%A0%80",
    "raw lone surrogate": b"\xed\xa0\x80", "invalid UTF-8": b"%FF", "raw byte": b"\xff",
    "raw UTF-8": "é".encode(), "overlong UTF-8": b"%C0%AF", "half a character": b"%E2%82",
    "1 MB": b"a" * 2**20,
}  # fmt: skip

# Values of another type than any parameter has
STRANGE = ('{"$ne": null}', "[]", "true", "null", "-1", "1e309", "٣", "undefined", "' OR 1=1 --")


def encode(pairs):
    """Encode a form whose values may be bytes that are encoded already."""
    return b"&".join(
        name.encode() + b"=" + (value if isinstance(value, bytes) else quote_plus(value).encode())
        for name, value in pairs
    )


def as_client(name, **data):
    secret = f"secret-of-{name}-with-enough-entropy-2f6c1d"
    return {**data, "client_id": name, "client_secret": secret}


def exchange(story):
    story.world.service_a_client.change(may_request_constraints=True)
    return as_client(
        "service-a",
        grant_type=names.TOKEN_EXCHANGE,
        subject_token=story.tokens()["access_token"],
        subject_token_type=names.ACCESS_TOKEN,
        requested_token_type=names.ACCESS_TOKEN,
        audience="Service B",
        resource=SERVICE_B,
        scope="read:metrics",
        constraints='[{"type":"max_depth","depth":0}]',
        **acting_with(own_token(story, story.world.service_a_client)),
    )


# Good requests to the back channel: the path, and what makes the form
REQUESTS = {
    "authorization_code": (
        "/oauth/token",
        lambda story: as_client(
            "web",
            grant_type="authorization_code",
            code=story.code(),
            code_verifier=VERIFIER,
            redirect_uri=REDIRECT_URI,
            resource=SERVICE_A,
        ),
    ),
    "client_credentials": (
        "/oauth/token",
        lambda story: as_client(
            "cron", grant_type="client_credentials", scope="read:metrics", resource=SERVICE_A
        ),
    ),
    "refresh_token": (
        "/oauth/token",
        lambda story: as_client(
            "web",
            grant_type="refresh_token",
            refresh_token=story.tokens()["refresh_token"],
            scope="read:metrics",
            resource=SERVICE_A,
        ),
    ),
    "exchange": ("/oauth/exchange", exchange),
    "revoke": (
        "/oauth/revoke",
        lambda story: as_client(
            "web", token=story.tokens()["refresh_token"], token_type_hint="refresh_token"
        ),
    ),
    "introspect": (
        "/oauth/introspect",
        lambda story: as_client(
            "service-a", token=story.tokens()["access_token"], token_type_hint="access_token"
        ),
    ),
}
OK = None
# What is answered where a parameter is empty, and where its value is of another type
ANSWERS = {
    "client_id": ("invalid_client", "invalid_client"),
    "client_secret": ("invalid_client", "invalid_client"),
    "grant_type": ("invalid_request", "unsupported_grant_type"),
    "code": ("invalid_request", "invalid_grant"),
    "code_verifier": ("invalid_grant", "invalid_grant"),
    "redirect_uri": (OK, "invalid_grant"),
    "refresh_token": ("invalid_request", "invalid_grant"),
    "scope": (OK, "invalid_scope"),
    "resource": (OK, "invalid_target"),
    "audience": (OK, "invalid_target"),
    "subject_token": ("invalid_request", "invalid_request"),
    "subject_token_type": ("invalid_request", "invalid_request"),
    "actor_token": ("invalid_request", "invalid_request"),
    "actor_token_type": ("invalid_request", "invalid_request"),
    "requested_token_type": (OK, "invalid_request"),
    "constraints": (OK, "invalid_request"),
    # RFC 7009 section 2.2, RFC 7662 section 2.2: a token that is none is no error
    "token": ("invalid_request", OK),
    "token_type_hint": (OK, OK),
}
CREDENTIALS = ["client_id", "client_secret"]
TARGETS = {"resource", "audience"}
PARAMETERS = {
    "authorization_code": "grant_type code code_verifier redirect_uri resource",
    "client_credentials": "grant_type scope resource",
    "refresh_token": "grant_type refresh_token scope resource",
    "exchange": "grant_type subject_token subject_token_type actor_token actor_token_type "
    "requested_token_type audience resource scope constraints",
    "revoke": "token token_type_hint",
    "introspect": "token token_type_hint",
}
every_parameter = pytest.mark.parametrize(
    ("name", "parameter"),
    [(name, one) for name, text in PARAMETERS.items() for one in [*text.split(), *CREDENTIALS]],
)
every_request = pytest.mark.parametrize("name", REQUESTS)


def send(story, path, body, content_type=FORM, method="POST", **extra):
    return story.wire.generic(method, path, body, content_type=content_type, **extra)


def good(story, name):
    """A good request of that kind: its path and its pairs."""
    path, build = REQUESTS[name]
    return path, list(build(story).items())


def changed(pairs, parameter, value):
    return [(name, value if name == parameter else old) for name, old in pairs]


def check(response, error):
    """Check an answer against the error that the table has for it."""
    if error is None:
        assert response.status_code == 200, response.content
        never_stored(response)
    else:
        refused(response, error, 401 if error == "invalid_client" else 400)


@pytest.mark.conformance("GEN-04")
@every_parameter
def test_parameter_when_it_is_bad(story, name, parameter):
    path, pairs = good(story, name)
    _, strange = ANSWERS[parameter]

    def answer(form):
        return send(story, path, encode(form))

    for kind, value in UNREADABLE.items():
        with each(kind), nothing_stored(), recorded():
            refused(answer(changed(pairs, parameter, value)), "invalid_request")
    # What may be repeated is judged, and this value is none that was granted
    error = "invalid_target" if parameter in TARGETS else "invalid_request"
    other = "https://other.example.com"
    for value in {other, other if parameter in TARGETS else dict(pairs)[parameter]}:
        with each(f"twice: {value}"), nothing_stored():
            refused(answer([*pairs, (parameter, value)]), error)
    for value in STRANGE:
        if parameter == "token_type_hint" or (parameter, value) == ("constraints", "[]"):
            continue
        with each(value), nothing_stored():
            response = answer(changed(pairs, parameter, value))
            check(response, strange)
            assert (name, parameter) != ("introspect", "token") or not response.json()["active"]
    # None of it cost anybody anything: the good request still works
    check(answer(pairs), OK)


@pytest.mark.conformance("GEN-06")
@every_parameter
def test_parameter_when_empty_or_under_another_name(story, name, parameter):
    path, pairs = good(story, name)
    absent, _ = ANSWERS[parameter]
    if absent is OK:
        check(send(story, path, encode(changed(pairs, parameter, ""))), OK)
        return
    others = [pair for pair in pairs if pair[0] != parameter]
    with refusal_recorded(absent):
        missing = send(story, path, encode(others))
    check(missing, absent)
    for again in ((parameter, ""), (f"{parameter}[]", dict(pairs)[parameter])):
        with each(again), refusal_recorded(absent):
            assert send(story, path, encode([*others, again])).content == missing.content
    check(send(story, path, encode(pairs)), OK)


@every_request
def test_request_when_its_names_are_unreadable_or_too_many(story, name):
    path, pairs = good(story, name)
    for kind, raw in UNREADABLE.items():
        with each(kind), nothing_stored(), recorded():
            response = send(story, path, encode(pairs) + b"&" + raw + b"=x")
            refused(response, "invalid_request")
    many = [*pairs, *((f"p{number}", "x") for number in range(200))]
    with nothing_stored(), recorded():
        refused(send(story, path, encode(many)), "invalid_request")
    again = ("resource", dict(pairs).get("resource", SERVICE_A))
    check(send(story, path, encode([*pairs, again, again])), OK)


NONSENSE = [
    b"", b"&", b"&&&=&=&", b"=", b"grant_type", b"\xef\xbb\xbfgrant_type=client_credentials", b"%",
    b"%%%=%zz", b"{}", b"a" * 65_537, b"&" * 65_537, b"a&" * 30_000, b"[" * 10_000,
]  # fmt: skip


@every_request
def test_body_when_it_is_nonsense(story, name):
    path, _ = REQUESTS[name]
    for body in NONSENSE:
        with each(body), nothing_stored():
            response = send(story, path, body)
            assert response.status_code in {400, 401}
            refused(response, response.json()["error"], response.status_code)


# Headers


OTHER_TYPES = [
    "",
    "application/json",
    "text/plain",
    "multipart/form-data",
    "multipart/form-data; boundary=x",
    f"{FORM}; charset=utf-16",
    f"{FORM}; charset=hex",
    f"{FORM}; charset=",
    f"{FORM}, {FORM}",
    f"{FORM}\x00",
    "\xff",
    ";" * 1000,
    # Longer ones Django 6.1 refuses before any view is asked.
    "application/" + "x" * 1000,
]


LENGTHS = ["abc", "-1", "+1", "1e3", "0x10", "1.0", "٣", "²", "9" * 5000, "99999999", "65537", " "]


@pytest.mark.conformance("GEN-09")
@every_request
def test_body_when_its_type_or_length_is_wrong(story, name):
    path, pairs = good(story, name)
    body = encode(pairs)
    for content_type in OTHER_TYPES:
        with each(content_type), nothing_stored(), recorded():
            refused(send(story, path, body, content_type=content_type), "invalid_request")
    # One more than there are: the body was cut off
    for length in [*LENGTHS, str(len(body) + 1)]:
        with each(length), nothing_stored(), recorded():
            stream = {"wsgi.input": BytesIO(body)}
            refused(send(story, path, body, CONTENT_LENGTH=length, **stream), "invalid_request")
    check(send(story, path, body), OK)


@every_request
def test_content_length_when_missing(story, name):
    path, pairs = good(story, name)
    body = encode(pairs)
    for length in ("", "0"):
        with refusal_recorded("invalid_client"):
            response = send(story, path, body, CONTENT_LENGTH=length)
        refused(response, "invalid_client", 401)


@every_request
def test_dpop_when_sent(story, name):
    path, pairs = good(story, name)
    for value in ("", "x", "a.b.c", "\xff", "a" * 2**16):
        with nothing_stored():
            refused(send(story, path, encode(pairs), HTTP_DPOP=value), "invalid_request")
    check(send(story, path, encode(pairs)), OK)


GARBAGE = {
    "HTTP_X_FORWARDED_FOR": "\x00\xff, 1.2.3.4",
    "HTTP_X_FORWARDED_HOST": "evil.example.com\r\nX: y",
    "HTTP_X_FORWARDED_PROTO": "http",
    "HTTP_FORWARDED": "for=\x00;host=evil.example.com",
    "HTTP_USER_AGENT": "\x00\xff\x1b[31m" * 500,
    "HTTP_X_REQUEST_ID": "\x00\r\n" * 50,
    "HTTP_ACCEPT": "\xff/\x00",
    "HTTP_ACCEPT_LANGUAGE": "\x00" * 500 + ",;q=x" * 500,
    "HTTP_COOKIE": "sessionid=\xff\x00; csrftoken=\x00" + "; a=b" * 500,
    "HTTP_ORIGIN": "null\x00",
    "HTTP_REFERER": "\xff",
    "HTTP_TRANSFER_ENCODING": "gzip, chunked, x",
}


@every_request
def test_headers_when_they_are_garbage_that_nobody_reads(story, name):
    path, pairs = good(story, name)
    response = send(story, path, encode(pairs), **GARBAGE)
    check(response, OK)
    assert re.fullmatch(r"[0-9a-f]{32}", response["X-Request-Id"])


@every_request
def test_address_when_the_server_in_front_tells_a_strange_one(story, name):
    path, pairs = good(story, name)
    wrong = encode(changed(pairs, "client_secret", "wrong"))
    for address in ("", "unix:", "fe80::1%eth0", "\x00", "1.2.3.4, 5.6.7.8"):
        with each(address), refusal_recorded("invalid_client"):
            check(send(story, path, wrong, REMOTE_ADDR=address), "invalid_client")
    check(send(story, path, encode(pairs), REMOTE_ADDR="1.2.3.4, 5.6.7.8"), OK)


# The authorization endpoint


GET_EMPTY = {
    "response_type": "invalid_request", "client_id": "page", "redirect_uri": OK, "scope": OK,
    "state": OK, "resource": OK, "code_challenge": "invalid_request",
    "code_challenge_method": "invalid_request", "prompt": OK, "max_age": OK, "response_mode": OK,
    "login_hint": OK,
}  # fmt: skip
every_get_parameter = pytest.mark.parametrize("parameter", [*GET_EMPTY, "unknown"])


def question(story):
    """The pairs of a good authorization request that uses every parameter."""
    parameters = story.authorize_parameters(
        resource=SERVICE_A,
        prompt="consent",
        max_age="3600",
        response_mode="query",
        login_hint="alice",
        unknown="x",
    )
    return list(parameters.items())


def ask(story, query):
    return story.browser.get("/oauth/authorize", QUERY_STRING=query.decode("latin-1"))


def error_page(response, status=400):
    """Check a page that tells a person what is wrong and goes nowhere."""
    assert response.status_code == status, (response.status_code, response.content[:300])
    assert "Location" not in response
    never_stored(response)
    html = response.content.decode()
    description = re.search(r'<p role="alert">([^<]+)</p>', html)[1]
    assert len(description) > 8
    assert "Traceback" not in html
    assert "frame-ancestors 'none'" in response["Content-Security-Policy"]


def check_get(response, error, state="af0ifjsldkj"):
    if error is OK:
        assert response.status_code == 200
        assert 'name="decision"' in response.content.decode()
    elif error == "page":
        error_page(response)
    else:
        assert response["Location"].startswith(REDIRECT_URI + "?")
        answer = redirected(response)
        assert answer["error"] == error
        assert answer.get("state") == state
        assert answer["iss"] == "https://as.example.com"
        assert DESCRIPTION.fullmatch(answer["error_description"])


@every_get_parameter
def test_authorize_when_a_parameter_is_unreadable(story, parameter):
    for person in (story, Story(story.world)):
        for value in UNREADABLE.values():
            with nothing_stored(), recorded():
                response = ask(person, encode(changed(question(story), parameter, value)))
            error_page(response)
    check_get(ask(story, encode(question(story))), OK)


@pytest.mark.parametrize("parameter", GET_EMPTY)
def test_authorize_when_a_parameter_is_empty(story, parameter):
    pairs = question(story)
    with nothing_stored():
        empty = ask(story, encode(changed(pairs, parameter, "")))
        absent = ask(story, encode([pair for pair in pairs if pair[0] != parameter]))
    check_get(empty, GET_EMPTY[parameter])
    check_get(absent, GET_EMPTY[parameter])


@pytest.mark.parametrize(
    "query", [b"", b"&", b"=", b"%", b"client_id", b"?client_id=web", b"[" * 9999]
)
def test_authorize_when_the_query_is_nonsense(story, query):
    with nothing_stored(), recorded():
        error_page(ask(story, query))


OTHER_METHODS = ["HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "X"]


def test_authorize_when_the_method_is_wrong(story):
    query = encode(question(story)).decode()
    for method in OTHER_METHODS:
        with each(method), nothing_stored(), recorded():
            response = story.browser.generic(method, f"/oauth/authorize?{query}")
            assert response.status_code == 405
            assert set(response["Allow"].split(", ")) >= {"GET", "POST"}
            assert "Location" not in response


# The answer of a person


def shown(story):
    """The pairs that the form of a shown page posts."""
    html = story.authorize().content.decode()
    return [
        ("handle", re.search(r'name="handle" value="([^"]+)"', html)[1]),
        ("scopes", "read:metrics"),
        ("scopes", "write:alerts"),
        ("decision", "allow"),
    ]


def post(story, body, content_type=FORM, **extra):
    return story.browser.generic(
        "POST", "/oauth/authorize", body, content_type=content_type, **extra
    )


@pytest.mark.parametrize("parameter", ["handle", "scopes", "decision"])
def test_answer_when_a_field_is_unreadable(story, parameter):
    pairs = shown(story)
    for value in UNREADABLE.values():
        with nothing_stored(), recorded():
            error_page(post(story, encode(changed(pairs, parameter, value))))
    assert redirected(post(story, encode(pairs)))["code"]


@pytest.mark.parametrize("parameter", ["handle", "decision"])
def test_answer_when_a_field_is_empty_or_of_a_wrong_type(story, parameter):
    pairs = shown(story)
    for value in ("", *STRANGE):
        with each(value), nothing_stored(), recorded():
            error_page(post(story, encode(changed(pairs, parameter, value))))
    assert redirected(post(story, encode(pairs)))["code"]


def test_answer_when_every_scope_is_empty(story):
    pairs = shown(story)
    with recorded("consent.denied"):
        answer = redirected(post(story, encode(changed(pairs, "scopes", ""))))
    assert answer["error"] == "access_denied"
    assert ConsentRecord.objects.get().decision == "denied"


@pytest.mark.parametrize(
    "content_type",
    [
        "", "application/json", "text/plain", "multipart/form-data; boundary=x",
        f"{FORM}; charset=utf-16",
    ],
)  # fmt: skip
def test_answer_when_it_is_not_a_form_in_utf8(story, content_type):
    pairs = shown(story)
    with nothing_stored(), recorded():
        error_page(post(story, encode(pairs), content_type))
    assert redirected(post(story, encode(pairs)))["code"]


def test_answer_when_its_length_lies(story):
    pairs = shown(story)
    body = encode(pairs)
    for length in ("abc", "-1", "99999999", str(len(body) + 1)):
        with nothing_stored(), recorded():
            response = post(story, body, CONTENT_LENGTH=length, **{"wsgi.input": BytesIO(body)})
        error_page(response)
    assert redirected(post(story, body))["code"]


@pytest.mark.parametrize("cookie", ["x", "a" * 2**16, "\xff\xfe", '"abcdefgh\\000"', "é", ""])
def test_authorize_when_the_session_cookie_is_garbage(story, cookie):
    query = urlencode(story.authorize_parameters())
    response = SecureClient().get(
        "/oauth/authorize", QUERY_STRING=query, HTTP_COOKIE=f"sessionid={cookie}"
    )
    if response.status_code == 400:
        # PostgreSQL takes no NUL, so it can't even look for such a session.
        assert connection.vendor == "postgresql"
        error_page(response)
        return
    assert response.status_code == 302
    assert response["Location"].startswith("/accounts/login/?next=")


@pytest.mark.parametrize("path", [METADATA, "/oauth/jwks"])
@pytest.mark.parametrize(
    "query", ["%00", "%FF=%ED%A0%80", "a" * 2**17, "issuer=https://evil.example"]
)
def test_document_when_the_query_is_nonsense(client, db, path, query):
    response = client.get(path, QUERY_STRING=query)
    assert response.status_code == 200
    assert response.content == client.get(path).content
