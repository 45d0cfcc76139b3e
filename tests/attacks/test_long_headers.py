"""Headers and addresses that are long: they cost no parsing, and no answer is a 500."""

from urllib.parse import parse_qs, quote, urlsplit

import pytest

from tests.support import SecureClient
from tests.support.answers import DESCRIPTION, each, never_stored
from tests.support.calls import calls
from tests.support.world import FORM

pytestmark = pytest.mark.any_database

LENGTH = 100_000
# What each repeats makes a parser work for each time
LONG = {
    "HTTP_ACCEPT": "a/b;q=0.1,", "HTTP_ACCEPT_ENCODING": "a;q=0,",
    "HTTP_ACCEPT_LANGUAGE": "de-at;q=0.1,", "HTTP_AUTHORIZATION": "Bearer a ", "HTTP_DPOP": "a.",
    "HTTP_FORWARDED": "for=192.0.2.1,", "HTTP_IF_MATCH": '"a",',
    "HTTP_IF_MODIFIED_SINCE": "Mon, 01 Jan 2024 00:00:00 GMT, ", "HTTP_IF_NONE_MATCH": '"a",',
    "HTTP_IF_UNMODIFIED_SINCE": "Mon, 01 Jan 2024 00:00:00 GMT, ",
    "HTTP_ORIGIN": "https://a.example,", "HTTP_RANGE": "bytes=0-1,",
    "HTTP_REFERER": "https://a.example/?a=b&", "HTTP_USER_AGENT": "é\x00", "HTTP_X_CSRFTOKEN": "a",
    "HTTP_X_FORWARDED_FOR": "192.0.2.1,", "HTTP_X_FORWARDED_PROTO": "https,",
    "HTTP_X_REQUEST_ID": "a",
}  # fmt: skip
# Longer than any header of a browser or a client that means it
PARSED = (
    "HTTP_ACCEPT", "HTTP_ACCEPT_ENCODING", "HTTP_IF_MATCH", "HTTP_IF_MODIFIED_SINCE",
    "HTTP_IF_NONE_MATCH", "HTTP_IF_UNMODIFIED_SINCE",
)  # fmt: skip
BACK_CHANNEL = ("token", "exchange", "introspect", "revoke", "device_authorization")
DOCUMENTS = ("/.well-known/oauth-authorization-server", "/oauth/jwks", "/oauth/status")
PAGES = ("/oauth/authorize", "/oauth/device", "/connections/", "/connections/api/")
APIS = ("/delegations/api/", "/delegations/api/revoke", "/connections/api/end")


@pytest.fixture
def endpoints(story):
    """Each endpoint with a method that it takes."""
    lists = story.wire.get("/oauth/status").json()["status_lists"]
    documents = (*DOCUMENTS, urlsplit(lists[0]).path, "/oauth/status/1", "/oauth/logo/" + "0" * 64)
    return [
        *(("GET", path) for path in (*documents, *PAGES, *APIS)),
        *(("POST", f"/oauth/{name}") for name in BACK_CHANNEL),
    ]


@pytest.mark.parametrize("header", LONG)
def test_header_when_it_is_long(story, endpoints, header):
    client = SecureClient(raise_request_exception=False)
    piece = LONG[header]
    for method, path in endpoints:

        def send(method=method, path=path, **headers):
            return client.generic(method, path, b"token=x", content_type=FORM, **headers)

        with each(f"{method} {path}"):
            b"".join(send(**{header: piece}))
            few = calls(lambda send=send: send(**{header: piece}))
            many = calls(lambda send=send: send(**{header: piece * (LENGTH // len(piece))}))
            # A refusal may say more; each repetition would call at least one function
            assert many < few + LENGTH // len(piece) // 10


@pytest.mark.parametrize("header", PARSED)
def test_document_when_a_header_is_too_long_to_parse(story, endpoints, header):
    client = SecureClient()
    piece = LONG[header]
    for method, path in endpoints:
        if method == "POST" or path in (*PAGES, *APIS):
            continue
        with each(path):
            answer = client.get(path, **{header: piece * (LENGTH // len(piece))})
            assert answer.status_code == 431
            never_stored(answer)
            assert answer["Access-Control-Allow-Origin"] == "*"
            assert answer.json()["error"] == "invalid_request"
            assert DESCRIPTION.fullmatch(answer.json()["error_description"])


@pytest.mark.parametrize("header", PARSED)
def test_document_when_a_header_is_as_long_as_may_be(client, db, header):
    assert client.get("/oauth/jwks", **{header: "a" * 2048}).status_code != 431
    assert client.get("/oauth/jwks", **{header: "a" * 2049}).status_code == 431


# Addresses that lead to the sign-in


@pytest.mark.parametrize(
    "path", ["/connections/{}", "/connections/{}/end", "/connections/{}/narrow"]
)
@pytest.mark.parametrize(
    "key",
    ["a" * 17_000, "\xff" * 2400, "é" * 5000, "a" * 2100],
    ids=["17,000 letters", "raw bytes", "letters that are not ASCII", "2,100 letters"],
)
def test_sign_in_when_the_address_is_too_long(db, path, key):
    answer = SecureClient().generic("GET", "/", PATH_INFO=path.format(key))
    assert (answer.status_code, answer["Location"]) == (302, "/accounts/login/")


@pytest.mark.parametrize(
    "query", ["\xff" * 2000, "中" * 2000, "%" * 2000], ids=["raw bytes", "Unicode", "percent signs"]
)
def test_sign_in_when_the_query_grows_by_its_encoding(db, query):
    answer = SecureClient().generic("GET", "/connections/", QUERY_STRING=query)
    assert answer.status_code == 302
    [back] = parse_qs(urlsplit(answer["Location"]).query)["next"]
    assert back.startswith("/connections/")
    assert len(answer["Location"]) < 8192


@pytest.mark.parametrize(
    "path", ["/connections/{}", "/connections/{}/end", "/connections/{}/narrow"]
)
def test_page_when_the_key_is_long_and_alice_is_signed_in(story, path):
    for key in ("a" * 17_000, quote("\xff" * 2400)):
        with each(key[:3]):
            assert story.browser.get(path.format(key)).status_code == 404


def test_redirect_when_django_refuses_it(story, settings):
    """What Django calls suspicious is never an error of ours."""
    settings.LOGIN_URL = "javascript:alert(1)//x"
    assert SecureClient().get("/connections/").status_code == 400
