"""Input that no honest client sends: every parameter of every endpoint, in every bad way.

It gets a 4xx that says what is wrong, never a 5xx, and leaves nothing behind.
"""

import re
from dataclasses import dataclass
from io import BytesIO
from urllib.parse import quote_plus, urlencode

import pytest
from django.db import connection

from delegation_app.models import ConsentRecord
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
from tests.support.world import FORM, REDIRECT_URI, SERVICE_A, VERIFIER, Story, redirected

METADATA = "/.well-known/oauth-authorization-server"

# What is never text, so that it is refused before anybody asks what the parameter means
UNREADABLE = {
    "NUL": b"a%00b",
    "NUL alone": b"%00",
    "raw NUL": b"a\x00b",
    "lone surrogate": b"%ED%A0%80",
    "raw lone surrogate": b"\xed\xa0\x80",
    "invalid UTF-8": b"%FF",
    "raw byte": b"\xff",
    "raw UTF-8": "é".encode(),
    "overlong UTF-8": b"%C0%AF",
    "half a character": b"%E2%82",
    "1 MB": b"a" * 2**20,
}

# Values of another type than any parameter has
STRANGE = ('{"$ne": null}', "[]", "true", "null", "-1", "1e309", "٣", "undefined", "' OR 1=1 --")


def encode(pairs):
    """Encode a form whose values may be bytes that are encoded already."""
    return b"&".join(
        name.encode() + b"=" + (value if isinstance(value, bytes) else quote_plus(value).encode())
        for name, value in pairs
    )


@dataclass(frozen=True)
class Request:
    """A good request to the back channel, and what its parameters answer to."""

    path: str
    build: object
    empty: dict
    strange: dict

    def __str__(self):
        return self.path


def as_client(name, **data):
    return {
        **data,
        "client_id": name,
        "client_secret": f"secret-of-{name}-with-enough-entropy-2f6c1d",
    }


OK = None
BAD_CLIENT = {"client_id": "invalid_client", "client_secret": "invalid_client"}
REQUESTS = {
    "authorization_code": Request(
        "/oauth/token",
        lambda story: as_client(
            "web",
            grant_type="authorization_code",
            code=story.code(),
            code_verifier=VERIFIER,
            redirect_uri=REDIRECT_URI,
            resource=SERVICE_A,
        ),
        empty={
            **BAD_CLIENT,
            "grant_type": "invalid_request",
            "code": "invalid_request",
            "code_verifier": "invalid_grant",
            "redirect_uri": OK,
            "resource": OK,
        },
        strange={
            **BAD_CLIENT,
            "grant_type": "unsupported_grant_type",
            "code": "invalid_grant",
            "code_verifier": "invalid_grant",
            "redirect_uri": "invalid_grant",
            "resource": "invalid_target",
        },
    ),
    "client_credentials": Request(
        "/oauth/token",
        lambda story: as_client(
            "cron", grant_type="client_credentials", scope="read:metrics", resource=SERVICE_A
        ),
        empty={**BAD_CLIENT, "grant_type": "invalid_request", "scope": OK, "resource": OK},
        strange={
            **BAD_CLIENT,
            "grant_type": "unsupported_grant_type",
            "scope": "invalid_scope",
            "resource": "invalid_target",
        },
    ),
    "refresh_token": Request(
        "/oauth/token",
        lambda story: as_client(
            "web",
            grant_type="refresh_token",
            refresh_token=story.tokens()["refresh_token"],
            scope="read:metrics",
            resource=SERVICE_A,
        ),
        empty={
            **BAD_CLIENT,
            "grant_type": "invalid_request",
            "refresh_token": "invalid_request",
            "scope": OK,
            "resource": OK,
        },
        strange={
            **BAD_CLIENT,
            "grant_type": "unsupported_grant_type",
            "refresh_token": "invalid_grant",
            "scope": "invalid_scope",
            "resource": "invalid_target",
        },
    ),
    # RFC 7009 section 2.2, RFC 7662 section 2.2: a token that is none is no error
    "revoke": Request(
        "/oauth/revoke",
        lambda story: as_client(
            "web", token=story.tokens()["refresh_token"], token_type_hint="refresh_token"
        ),
        empty={**BAD_CLIENT, "token": "invalid_request", "token_type_hint": OK},
        strange={**BAD_CLIENT, "token": OK, "token_type_hint": OK},
    ),
    "introspect": Request(
        "/oauth/introspect",
        lambda story: as_client(
            "service-a", token=story.tokens()["access_token"], token_type_hint="access_token"
        ),
        empty={**BAD_CLIENT, "token": "invalid_request", "token_type_hint": OK},
        strange={**BAD_CLIENT, "token": OK, "token_type_hint": OK},
    ),
}
EVERY_PARAMETER = [(name, parameter) for name, r in REQUESTS.items() for parameter in r.empty]
every_parameter = pytest.mark.parametrize(("name", "parameter"), EVERY_PARAMETER)
every_request = pytest.mark.parametrize("name", REQUESTS)


def send(story, path, body, content_type=FORM, method="POST", **extra):
    return story.wire.generic(method, path, body, content_type=content_type, **extra)


def good(story, name):
    """A good request of that kind: its path and its pairs."""
    request = REQUESTS[name]
    return request.path, list(request.build(story).items())


def changed(pairs, parameter, value):
    return [(name, value if name == parameter else old) for name, old in pairs]


def check(response, error):
    """Check an answer against the error that the table has for it."""
    if error is None:
        assert response.status_code == 200, response.content
        never_stored(response)
    else:
        refused(response, error, 401 if error == "invalid_client" else 400)


@every_parameter
def test_parameter_when_unreadable_then_400_and_nothing_is_left_behind(story, name, parameter):
    path, pairs = good(story, name)
    for kind, value in UNREADABLE.items():
        with nothing_stored(), recorded():
            response = send(story, path, encode(changed(pairs, parameter, value)))
        assert response.status_code == 400, kind
        refused(response, "invalid_request")
    # None of it cost anybody anything: the good request still works.
    check(send(story, path, encode(pairs)), OK)


@every_request
def test_name_of_a_parameter_when_unreadable_then_400(story, name):
    path, pairs = good(story, name)
    for kind, raw in UNREADABLE.items():
        with nothing_stored(), recorded():
            response = send(story, path, encode(pairs) + b"&" + raw + b"=x")
        assert response.status_code == 400, kind
        refused(response, "invalid_request")
    check(send(story, path, encode(pairs)), OK)


@every_parameter
def test_parameter_when_sent_twice_then_400(story, name, parameter):
    path, pairs = good(story, name)
    # The one that may be repeated is judged, and this value is none that was granted.
    error = "invalid_target" if parameter == "resource" else "invalid_request"
    values = ["https://other.example.com"]
    if parameter != "resource":
        values.append(dict(pairs)[parameter])
    for value in values:
        with nothing_stored():
            response = send(story, path, encode([*pairs, (parameter, value)]))
        refused(response, error)
    check(send(story, path, encode(pairs)), OK)


@every_request
def test_resource_when_sent_twice_then_it_counts_once(story, name):
    path, pairs = good(story, name)
    check(send(story, path, encode([*pairs, ("resource", SERVICE_A), ("resource", SERVICE_A)])), OK)


@every_parameter
def test_parameter_when_empty_then_it_is_absent(story, name, parameter):
    path, pairs = good(story, name)
    error = REQUESTS[name].empty[parameter]
    without = [pair for pair in pairs if pair[0] != parameter]
    if error is OK:
        check(send(story, path, encode(changed(pairs, parameter, ""))), OK)
        return
    with refusal_recorded(error):
        empty = send(story, path, encode(changed(pairs, parameter, "")))
    check(empty, error)
    with refusal_recorded(error):
        absent = send(story, path, encode(without))
    assert absent.content == empty.content
    check(send(story, path, encode(pairs)), OK)


@every_parameter
def test_parameter_when_of_a_wrong_type_then_the_error_is_the_one_for_its_kind(
    story, name, parameter
):
    path, pairs = good(story, name)
    error = REQUESTS[name].strange[parameter]
    for value in STRANGE:
        body = encode(changed(pairs, parameter, value))
        if parameter == "token_type_hint":
            # It only optimises, so the first of these does the work and the others find it done.
            check(send(story, path, body), OK)
            continue
        with nothing_stored():
            response = send(story, path, body)
        check(response, error)
        if name == "introspect" and parameter == "token":
            assert response.json() == {"active": False}
    check(send(story, path, encode(pairs)), OK)


@every_parameter
def test_parameter_when_written_as_an_array_then_it_is_another_parameter(story, name, parameter):
    path, pairs = good(story, name)
    renamed = [(f"{key}[]" if key == parameter else key, value) for key, value in pairs]
    error = REQUESTS[name].empty[parameter]
    response = send(story, path, encode(renamed))
    check(response, error)


@every_request
def test_parameters_when_there_are_too_many_then_400(story, name):
    path, pairs = good(story, name)
    many = [*pairs, *((f"p{number}", "x") for number in range(200))]
    with nothing_stored(), recorded():
        refused(send(story, path, encode(many)), "invalid_request")


NONSENSE = [
    b"",
    b"&",
    b"&&&=&=&",
    b"=",
    b"grant_type",
    b"\xef\xbb\xbfgrant_type=client_credentials",
    b"%",
    b"%%%=%zz",
    b"{}",
    b"a" * 65_537,
    b"&" * 65_537,
    b"a&" * 30_000,
    b"[" * 10_000,
]


@every_request
def test_body_when_it_is_nonsense_then_4xx(story, name):
    path = REQUESTS[name].path
    for body in NONSENSE:
        with each(body), nothing_stored():
            response = send(story, path, body)
            assert response.status_code in {400, 401}
            refused(response, response.json()["error"], response.status_code)


# Headers


METHODS = ("GET", "HEAD", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "X")


@every_request
def test_method_when_it_is_not_post_then_405(story, name):
    path, pairs = good(story, name)
    for method in METHODS:
        with each(method), nothing_stored(), recorded():
            response = send(story, path, encode(pairs), method=method)
            assert response.status_code == 405
            assert "POST" in response["Allow"].split(", ")
            never_stored(response)
            if method != "HEAD":
                assert DESCRIPTION.fullmatch(response.json()["error_description"])
    check(send(story, path, encode(pairs)), OK)


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


@every_request
def test_content_type_when_it_is_not_a_form_in_utf8_then_400(story, name):
    path, pairs = good(story, name)
    for content_type in OTHER_TYPES:
        with each(content_type), nothing_stored(), recorded():
            response = send(story, path, encode(pairs), content_type=content_type)
            refused(response, "invalid_request")
    check(send(story, path, encode(pairs)), OK)


@every_request
@pytest.mark.parametrize("charset", ["utf-8", "UTF-8", '"utf-8"'])
def test_charset_when_it_is_utf8_then_the_form_is_read(story, name, charset):
    path, pairs = good(story, name)
    check(send(story, path, encode(pairs), content_type=f"{FORM}; charset={charset}"), OK)


LENGTHS = ["abc", "-1", "+1", "1e3", "0x10", "1.0", "٣", "²", "9" * 5000, "99999999", "65537", " "]


@every_request
def test_content_length_when_it_is_no_plausible_number_then_400(story, name):
    path, pairs = good(story, name)
    body = encode(pairs)
    for length in LENGTHS:
        with each(length), nothing_stored(), recorded():
            stream = {"wsgi.input": BytesIO(body)}
            response = send(story, path, body, CONTENT_LENGTH=length, **stream)
            refused(response, "invalid_request")
    check(send(story, path, body), OK)


@every_request
def test_body_when_it_was_cut_off_then_what_arrived_is_not_used(story, name):
    path, pairs = good(story, name)
    body = encode(pairs)
    with nothing_stored(), recorded():
        response = send(
            story, path, body, CONTENT_LENGTH=str(len(body) + 1), **{"wsgi.input": BytesIO(body)}
        )
    refused(response, "invalid_request")
    check(send(story, path, body), OK)


@every_request
def test_content_length_when_missing_then_there_is_no_body(story, name):
    path, pairs = good(story, name)
    body = encode(pairs)
    for length in ("", "0"):
        with refusal_recorded("invalid_client"):
            response = send(story, path, body, CONTENT_LENGTH=length)
        refused(response, "invalid_client", 401)


@every_request
def test_dpop_when_sent_then_it_is_refused_and_not_ignored(story, name):
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
def test_headers_when_they_are_garbage_that_nobody_reads_then_nothing_changes(story, name):
    path, pairs = good(story, name)
    response = send(story, path, encode(pairs), **GARBAGE)
    check(response, OK)
    assert re.fullmatch(r"[0-9a-f]{32}", response["X-Request-Id"])


@pytest.mark.parametrize("header", GARBAGE)
def test_header_when_it_is_garbage_that_nobody_reads_then_nothing_changes(story, header):
    path, pairs = good(story, "client_credentials")
    response = send(story, path, encode(pairs), **{header: GARBAGE[header]})
    check(response, OK)


@every_request
def test_address_when_the_server_in_front_tells_a_strange_one_then_nothing_breaks(story, name):
    path, pairs = good(story, name)
    wrong = encode(changed(pairs, "client_secret", "wrong"))
    for address in ("", "unix:", "fe80::1%eth0", "\x00", "1.2.3.4, 5.6.7.8"):
        with each(address), refusal_recorded("invalid_client"):
            check(send(story, path, wrong, REMOTE_ADDR=address), "invalid_client")
    check(send(story, path, encode(pairs), REMOTE_ADDR="1.2.3.4, 5.6.7.8"), OK)


# The authorization endpoint


GET_EMPTY = {
    "response_type": "invalid_request",
    "client_id": "page",
    "redirect_uri": OK,
    "scope": OK,
    "state": OK,
    "resource": OK,
    "code_challenge": "invalid_request",
    "code_challenge_method": "invalid_request",
    "prompt": OK,
    "max_age": OK,
    "response_mode": OK,
    "login_hint": OK,
}
GET_STRANGE = {
    **GET_EMPTY,
    "response_type": "unsupported_response_type",
    "redirect_uri": "page",
    "scope": "invalid_scope",
    "resource": "invalid_target",
    "prompt": "invalid_request",
    "max_age": "invalid_request",
    "response_mode": "invalid_request",
}
UNSUPPORTED = {
    "request": "request_not_supported",
    "request_uri": "request_uri_not_supported",
    "authorization_details": "invalid_request",
    "dpop_jkt": "invalid_request",
}
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
def test_authorize_when_a_parameter_is_unreadable_then_an_error_page(story, parameter):
    for person in (story, Story(story.world)):
        for value in UNREADABLE.values():
            with nothing_stored(), recorded():
                response = ask(person, encode(changed(question(story), parameter, value)))
            error_page(response)
    check_get(ask(story, encode(question(story))), OK)


@every_get_parameter
def test_authorize_when_a_parameter_is_sent_twice_then_it_is_refused(story, parameter):
    pairs = question(story)
    twice = encode([*pairs, (parameter, dict(pairs)[parameter])])
    with nothing_stored():
        response = ask(story, twice)
    if parameter in {"client_id", "redirect_uri"}:
        error_page(response)
    elif parameter in {"resource", "login_hint", "unknown"}:
        # RFC 8707 section 2 lets the first be repeated; the others are none of ours.
        check_get(response, OK)
    else:
        # Which state is the right one nobody knows, so none is sent back.
        state = None if parameter == "state" else "af0ifjsldkj"
        check_get(response, "invalid_request", state)


@pytest.mark.parametrize("parameter", GET_EMPTY)
def test_authorize_when_a_parameter_is_empty_then_it_is_absent(story, parameter):
    pairs = question(story)
    with nothing_stored():
        empty = ask(story, encode(changed(pairs, parameter, "")))
        absent = ask(story, encode([pair for pair in pairs if pair[0] != parameter]))
    check_get(empty, GET_EMPTY[parameter])
    check_get(absent, GET_EMPTY[parameter])


@pytest.mark.parametrize("parameter", GET_STRANGE)
def test_authorize_when_a_parameter_is_of_a_wrong_type_then_the_error_is_the_one_for_its_kind(
    story, parameter
):
    for value in STRANGE:
        with each(value):
            with nothing_stored():
                response = ask(story, encode(changed(question(story), parameter, value)))
            state = value if parameter == "state" else "af0ifjsldkj"
            check_get(response, GET_STRANGE[parameter], state)
            if parameter == "state":
                # It is opaque, and comes back as it was sent.
                assert redirected(story.answer(response))["state"] == value


@pytest.mark.parametrize("parameter", GET_STRANGE)
def test_authorize_when_nobody_signed_in_then_no_error_is_redirected_to_a_client(story, parameter):
    anonymous = Story(story.world)
    for value in ("[]", ""):
        with nothing_stored(), recorded():
            response = ask(anonymous, encode(changed(question(story), parameter, value)))
        if (GET_STRANGE if value else GET_EMPTY)[parameter] == "page":
            error_page(response)
        else:
            assert response.status_code == 302
            assert response["Location"].startswith("/accounts/login/?next=")


NO_AGES = [
    "-1",
    "+1",
    "1.5",
    "1e3",
    "0x10",
    " 1",
    "1 ",
    "٣",
    "²",
    "2147483648",
    "9" * 5000,
    "0" * 5000,
]


def test_authorize_when_max_age_is_no_plausible_number_then_invalid_request(story):
    for value in NO_AGES:
        with each(value):
            with nothing_stored():
                response = ask(story, encode(changed(question(story), "max_age", value)))
            check_get(response, "invalid_request")


@pytest.mark.parametrize("value", ["1", "3600", "2147483647", "007200"])
def test_authorize_when_max_age_is_a_number_then_it_is_read(story, value):
    check_get(ask(story, encode(changed(question(story), "max_age", value))), OK)


@pytest.mark.parametrize("parameter", UNSUPPORTED)
def test_authorize_when_a_parameter_would_change_the_meaning_then_it_is_refused(story, parameter):
    for value in ("x", "{}", "https://web.example.com/request.jwt"):
        with each(value):
            with nothing_stored():
                response = ask(story, encode([*question(story), (parameter, value)]))
            check_get(response, UNSUPPORTED[parameter])


@pytest.mark.parametrize(
    "query", [b"", b"&", b"=", b"%", b"client_id", b"?client_id=web", b"[" * 9999]
)
def test_authorize_when_the_query_is_nonsense_then_an_error_page(story, query):
    with nothing_stored(), recorded():
        error_page(ask(story, query))


@pytest.mark.parametrize("marker", ["x", "a:b:c", "%00", "", "é", "a" * 5000])
def test_authorize_when_the_marker_of_a_sign_in_is_forged_then_it_proves_nothing(story, marker):
    pairs = [*changed(question(story), "prompt", "login"), ("prompted", marker)]
    response = ask(story, encode(pairs))
    assert response.status_code == 302
    assert response["Location"].startswith("/accounts/login/?next=")


OTHER_METHODS = ["HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "X"]


def test_authorize_when_the_method_is_wrong_then_405(story):
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
def test_answer_when_a_field_is_unreadable_then_an_error_page_and_the_question_stays(
    story, parameter
):
    pairs = shown(story)
    for value in UNREADABLE.values():
        with nothing_stored(), recorded():
            error_page(post(story, encode(changed(pairs, parameter, value))))
    assert redirected(post(story, encode(pairs)))["code"]


@pytest.mark.parametrize("parameter", ["handle", "decision"])
def test_answer_when_a_field_is_empty_or_of_a_wrong_type_then_the_question_stays(story, parameter):
    pairs = shown(story)
    for value in ("", *STRANGE):
        with each(value), nothing_stored(), recorded():
            error_page(post(story, encode(changed(pairs, parameter, value))))
    assert redirected(post(story, encode(pairs)))["code"]


@pytest.mark.parametrize("parameter", ["handle", "decision"])
@pytest.mark.parametrize("second", ["same", "deny"])
def test_answer_when_a_field_is_sent_twice_then_the_question_stays(story, parameter, second):
    pairs = shown(story)
    value = dict(pairs)[parameter] if second == "same" else second
    with nothing_stored(), recorded():
        error_page(post(story, encode([*pairs, (parameter, value)])))
    assert redirected(post(story, encode(pairs)))["code"]


@pytest.mark.parametrize("value", [*STRANGE, "delete:alerts", "read:profile", "READ:METRICS"])
def test_answer_when_a_scope_was_not_shown_then_nothing_is_granted(story, value):
    pairs = shown(story)
    with nothing_stored(), recorded("request.refused"):
        error_page(post(story, encode([*pairs, ("scopes", value)])))


def test_answer_when_every_scope_is_empty_then_it_is_a_denial(story):
    pairs = shown(story)
    with recorded("consent.denied"):
        answer = redirected(post(story, encode(changed(pairs, "scopes", ""))))
    assert answer["error"] == "access_denied"
    assert ConsentRecord.objects.get().decision == "denied"


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "application/json",
        "text/plain",
        "multipart/form-data; boundary=x",
        f"{FORM}; charset=utf-16",
    ],
)
def test_answer_when_it_is_not_a_form_in_utf8_then_an_error_page(story, content_type):
    pairs = shown(story)
    with nothing_stored(), recorded():
        error_page(post(story, encode(pairs), content_type))
    assert redirected(post(story, encode(pairs)))["code"]


def test_answer_when_its_length_lies_then_an_error_page(story):
    pairs = shown(story)
    body = encode(pairs)
    for length in ("abc", "-1", "99999999", str(len(body) + 1)):
        with nothing_stored(), recorded():
            response = post(story, body, CONTENT_LENGTH=length, **{"wsgi.input": BytesIO(body)})
        error_page(response)
    assert redirected(post(story, body))["code"]


def test_answer_when_headers_are_garbage_then_the_record_has_them_on_one_line(story):
    pairs = shown(story)
    agent = "\x00\x1b[31m\r\n\xff" * 200
    assert redirected(post(story, encode(pairs), HTTP_USER_AGENT=agent))["code"]
    noted = ConsentRecord.objects.get().user_agent
    assert len(noted) == 255
    assert not re.search(r"[\x00-\x1f\x7f]", noted)


@pytest.mark.parametrize("cookie", ["x", "a" * 2**16, "\xff\xfe", '"abcdefgh\\000"', "é", ""])
def test_authorize_when_the_session_cookie_is_garbage_then_nobody_is_signed_in(story, cookie):
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


# The documents


@pytest.mark.parametrize("path", [METADATA, "/oauth/jwks"])
def test_document_when_the_method_is_wrong_then_405(client, db, path):
    for method in (*OTHER_METHODS[1:], "POST"):
        with each(method):
            response = client.generic(method, path, b"a=b", content_type=FORM)
            assert response.status_code == 405
            assert response["Allow"] == "GET, HEAD"
            assert DESCRIPTION.fullmatch(response.json()["error_description"])


@pytest.mark.parametrize("path", [METADATA, "/oauth/jwks"])
def test_document_when_only_its_head_is_asked_for_then_it_is_as_for_get(client, db, path):
    head, get = client.head(path), client.get(path)
    assert head.status_code == 200
    assert head.content == b""
    assert head["Content-Type"] == get["Content-Type"] == "application/json"


@pytest.mark.parametrize("path", [METADATA, "/oauth/jwks"])
@pytest.mark.parametrize(
    "query", ["%00", "%FF=%ED%A0%80", "a" * 2**17, "issuer=https://evil.example"]
)
def test_document_when_the_query_is_nonsense_then_it_is_not_read(client, db, path, query):
    response = client.get(path, QUERY_STRING=query)
    assert response.status_code == 200
    assert response.content == client.get(path).content


@pytest.mark.parametrize("tail", ["other", "%00", "%FF", "..", "%ED%A0%80", "a" * 5000, "//evil"])
def test_metadata_when_the_path_names_another_issuer_then_404(client, db, tail):
    assert client.get(f"{METADATA}/{tail}").status_code == 404
