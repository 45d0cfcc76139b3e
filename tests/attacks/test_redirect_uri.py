"""Redirect URIs that are almost the registered one (SECURITY.md B1 to B8)."""

from urllib.parse import quote, urlencode

import pytest
from django.core.exceptions import ValidationError
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from delegation_app import toolkit
from delegation_app.models import AuthorizationCode
from tests.support.answers import each
from tests.support.world import Story, build_world, redirected

pytestmark = pytest.mark.any_database

REGISTERED = "https://a.example.com/app/cb?k=1&l=2"

# Each is sent as it stands, form-encoded once.
MUTATIONS = [
    # query: added, removed, reordered, doubled, other spelling
    "https://a.example.com/app/cb",
    "https://a.example.com/app/cb?",
    "https://a.example.com/app/cb?k=1",
    "https://a.example.com/app/cb?l=2&k=1",
    "https://a.example.com/app/cb?k=1&l=2&",
    "https://a.example.com/app/cb?k=1&l=2&m=3",
    "https://a.example.com/app/cb?m=3&k=1&l=2",
    "https://a.example.com/app/cb?k=1&k=1&l=2",
    "https://a.example.com/app/cb?K=1&l=2",
    "https://a.example.com/app/cb?k=1;l=2",
    "https://a.example.com/app/cb?k=%31&l=2",
    "https://a.example.com/app/cb?k=1&l=2?",
    "https://a.example.com/app/cb?k=1&l=2&code=x",
    "https://a.example.com/app/cb??k=1&l=2",
    # path: case, slashes, dots, traversal, parameters
    "https://a.example.com/app/CB?k=1&l=2",
    "https://a.example.com/App/cb?k=1&l=2",
    "https://a.example.com/app/cb/?k=1&l=2",
    "https://a.example.com//app/cb?k=1&l=2",
    "https://a.example.com/app//cb?k=1&l=2",
    "https://a.example.com/./app/cb?k=1&l=2",
    "https://a.example.com/app/./cb?k=1&l=2",
    "https://a.example.com/app/x/../cb?k=1&l=2",
    "https://a.example.com/app/cb/../cb?k=1&l=2",
    "https://a.example.com/app/cb/..?k=1&l=2",
    "https://a.example.com/app/cb/../../evil?k=1&l=2",
    "https://a.example.com/app/cb/%2e%2e/evil?k=1&l=2",
    "https://a.example.com/app/cb/..%2fevil?k=1&l=2",
    "https://a.example.com/app/cb/..;/evil?k=1&l=2",
    "https://a.example.com/app/..;/cb?k=1&l=2",
    "https://a.example.com/app/cb;p=1?k=1&l=2",
    "https://a.example.com/app/cb;?k=1&l=2",
    "https://a.example.com/app%2Fcb?k=1&l=2",
    "https://a.example.com/app/%63b?k=1&l=2",
    "https://a.example.com/app/cb%00?k=1&l=2",
    "https://a.example.com/app/cb%20?k=1&l=2",
    "https://a.example.com/app/cb%0a?k=1&l=2",
    "https://a.example.com/app/cb.evil?k=1&l=2",
    "https://a.example.com/app/cbx?k=1&l=2",
    "https://a.example.com/app/c?k=1&l=2",
    "https://a.example.com/app/?k=1&l=2",
    "https://a.example.com?k=1&l=2",
    "https://a.example.com\\app\\cb?k=1&l=2",
    "https://a.example.com/app\\cb?k=1&l=2",
    # fragment
    "https://a.example.com/app/cb?k=1&l=2#",
    "https://a.example.com/app/cb?k=1&l=2#x",
    "https://a.example.com/app/cb#?k=1&l=2",
    "https://a.example.com/app/cb%23?k=1&l=2",
    # scheme
    "http://a.example.com/app/cb?k=1&l=2",
    "HTTPS://a.example.com/app/cb?k=1&l=2",
    "hTTps://a.example.com/app/cb?k=1&l=2",
    "https:/a.example.com/app/cb?k=1&l=2",
    "https:a.example.com/app/cb?k=1&l=2",
    "https:///a.example.com/app/cb?k=1&l=2",
    "//a.example.com/app/cb?k=1&l=2",
    "/app/cb?k=1&l=2",
    "wss://a.example.com/app/cb?k=1&l=2",
    "ftp://a.example.com/app/cb?k=1&l=2",
    # authority: case, port, user, subdomain, suffix, look-alikes
    "https://A.example.com/app/cb?k=1&l=2",
    "https://a.EXAMPLE.com/app/cb?k=1&l=2",
    "https://a.example.com:443/app/cb?k=1&l=2",
    "https://a.example.com:8443/app/cb?k=1&l=2",
    "https://a.example.com:/app/cb?k=1&l=2",
    "https://a.example.com:443@evil.example/app/cb?k=1&l=2",
    "https://a.example.com@evil.example/app/cb?k=1&l=2",
    "https://user@a.example.com/app/cb?k=1&l=2",
    "https://user:pass@a.example.com/app/cb?k=1&l=2",
    "https://@a.example.com/app/cb?k=1&l=2",
    "https://evil.example\\@a.example.com/app/cb?k=1&l=2",
    "https://evil.example#@a.example.com/app/cb?k=1&l=2",
    "https://evil.example?@a.example.com/app/cb?k=1&l=2",
    "https://a.example.com./app/cb?k=1&l=2",
    "https://a.example.com%2eevil.example/app/cb?k=1&l=2",
    "https://a.example.com.evil.example/app/cb?k=1&l=2",
    "https://a.example.comevil.example/app/cb?k=1&l=2",
    "https://x.a.example.com/app/cb?k=1&l=2",
    "https://example.com/app/cb?k=1&l=2",
    "https://aXexample.com/app/cb?k=1&l=2",
    "https://a-example.com/app/cb?k=1&l=2",
    "https://b.example.com/app/cb?k=1&l=2",
    "https://xn--a-example-com.evil.example/app/cb?k=1&l=2",
    "https://\u0430.example.com/app/cb?k=1&l=2",
    "https://\uff41.example.com/app/cb?k=1&l=2",
    "https://a\u3002example\u3002com/app/cb?k=1&l=2",
    "https://a\uff0eexample.com/app/cb?k=1&l=2",
    "https://a.example.com\uff0fapp/cb?k=1&l=2",
    "https://a\u00ad.example.com/app/cb?k=1&l=2",
    "https://%61.example.com/app/cb?k=1&l=2",
    "https://[a.example.com]/app/cb?k=1&l=2",
    "https://[::1/app/cb?k=1&l=2",
    "https://a.example.com:99999/app/cb?k=1&l=2",
    "https://a.example.com:x/app/cb?k=1&l=2",
    # what browsers strip or rewrite, and what text handling loses
    " https://a.example.com/app/cb?k=1&l=2",
    "https://a.example.com/app/cb?k=1&l=2 ",
    "\thttps://a.example.com/app/cb?k=1&l=2",
    "https://a.example.com/app/cb?k=1&l=2\n",
    "https://a.example.com/app/cb?k=1&l=2\r\n",
    "https://a.example.com/app/c\tb?k=1&l=2",
    "https://a.example.com/app/c\nb?k=1&l=2",
    "ht\ntps://a.example.com/app/cb?k=1&l=2",
    "https://a.example.com/app/cb?k=1&l=2\x00",
    "https://a.example.com\x00.evil.example/app/cb?k=1&l=2",
    "https://a.example.com/app/cb?k=1&l=2\x7f",
    "https://a.example.com/app/cb?k=1&l=2\x85",
    "https://a.example.com/app/cb?k=1&l=2\u2028",
    "https://a.example.com/app/cb?k=1&l=2\ufeff",
    "\ufeffhttps://a.example.com/app/cb?k=1&l=2",
    "https://a.example.com/app/cb?k=1&l=2 https://evil.example/",
    "https://evil.example/ https://a.example.com/app/cb?k=1&l=2",
    # several at once, wildcards, encodings of the whole
    "https://a.example.com/app/*",
    "https://*.example.com/app/cb?k=1&l=2",
    "https%3A%2F%2Fa.example.com%2Fapp%2Fcb%3Fk%3D1%26l%3D2",
    "https://evil.example/?https://a.example.com/app/cb?k=1&l=2",
    "https://evil.example/https://a.example.com/app/cb?k=1&l=2",
    "https://a.example.com/app/cb?k=1&l=2&next=https://evil.example",
    "a" * 10_000,
    "https://" + "a@" * 5_000 + "a.example.com/app/cb?k=1&l=2",
    "https://" + "[" * 5_000,
]

DANGEROUS = [
    "javascript:alert(1)", "JaVaScRiPt:alert(1)", "\x01javascript:alert(1)",
    "java\tscript:alert(1)", "javascript://a.example.com/%0aalert(1)", "javascript.x:alert(1)",
    "data:text/html,<script>alert(1)</script>", "DATA:text/html;base64,PHNjcmlwdD4=",
    "vbscript:msgbox(1)", "blob:https://a.example.com/1", "file:///etc/passwd",
    "filesystem:https://a.example.com/x", "about:blank", "view-source:https://a.example.com/",
    "intent://x#Intent;scheme=https;end", "ws://a.example.com/cb", "ftp://a.example.com/cb",
    "mailto:a@example.com", "urn:ietf:wg:oauth:2.0:oob", "//a.example.com/cb", "/cb", "cb",
    "https:", "https://", "http://a.example.com/cb", "http://localhost.evil.example/cb",
    "http://127.0.0.1.nip.io/cb", "http://127.1/cb", "http://2130706433/cb", "http://0.0.0.0/cb",
    "http://[::ffff:127.0.0.1]/cb", "https://a.example.com/cb#x", "https://[::1/cb",
    "https://a.example.com:99999/cb",
]  # fmt: skip

# Schemes that a site may have opened for its own apps by mistake
OPENED = [
    "https", "http", "javascript", "data", "vbscript", "blob", "file", "filesystem", "about",
    "view-source", "intent", "ws", "ftp", "mailto", "urn", "",
]  # fmt: skip


def register(world, uris):
    """As a fixture or a script would: without the forms' checks."""
    rows = toolkit.application_model().objects.filter(pk=world.web.row.pk)
    rows.update(redirect_uris=uris)
    world.web.row.refresh_from_db()


def assert_stays(response):
    """An error page that leads nowhere, and no code."""
    assert response.status_code == 400
    assert response["Content-Type"].startswith("text/html")
    assert "Location" not in response
    assert "Refresh" not in response
    # The page does not even offer what was sent as a link
    assert b"<a " not in response.content
    assert b"http-equiv" not in response.content.lower()
    assert AuthorizationCode.objects.count() == 0


@pytest.fixture
def registered(story):
    register(story.world, REGISTERED)
    return story


def test_table_when_counted():
    assert len(MUTATIONS) == len(set(MUTATIONS)) >= 60
    assert REGISTERED not in MUTATIONS


@pytest.mark.conformance("AZ-04", "OT-02")
def test_redirect_uri_when_exactly_the_registered_one(registered):
    response = registered.answer(registered.authorize(redirect_uri=REGISTERED))
    assert response["Location"].startswith(f"{REGISTERED}&code=")


@pytest.mark.conformance("AZ-04", "OT-02")
def test_redirect_uri_when_mutated(registered):
    for uri in MUTATIONS:
        with each(uri):
            assert_stays(registered.authorize(redirect_uri=uri))


@pytest.mark.conformance("AZ-04")
def test_redirect_uri_when_mutated_in_a_bad_request(registered):
    for uri in MUTATIONS[::7]:
        for changes in [
            {"response_type": "token"},
            {"prompt": "none"},
            {"scope": "no:such"},
            {"request_uri": "x"},
        ]:
            with each((uri, changes)):
                assert_stays(registered.authorize(redirect_uri=uri, **changes))


@pytest.mark.conformance("AZ-04")
def test_redirect_uri_when_mutated_and_nobody_is_signed_in(registered):
    for uri in MUTATIONS[::7]:
        with each(uri):
            registered.browser.logout()
            assert_stays(registered.authorize(redirect_uri=uri))


def test_redirect_uri_when_encoded_otherwise_on_the_wire(registered):
    parameters = registered.authorize_parameters(redirect_uri=None)
    everything = "".join(f"%{byte:02x}" for byte in REGISTERED.encode())
    query = f"{urlencode(parameters)}&redirect_uri={everything}"
    assert registered.authorize_raw(query).status_code == 200
    twice = quote(quote(REGISTERED, safe=""), safe="")
    assert_stays(registered.authorize_raw(f"{urlencode(parameters)}&redirect_uri={twice}"))


def test_redirect_uri_when_another_client_registered_it(registered):
    uri = "https://other.example.com/callback"
    assert registered.authorize(registered.world.other, redirect_uri=uri).status_code == 200
    assert_stays(registered.authorize(redirect_uri=uri))


# Loopback: the port and nothing else


@pytest.mark.conformance("AZ-05", "OT-02")
def test_loopback_uri_when_more_than_the_port_differs(story):
    for uri in [
        "http://127.0.0.1:51004/cb2",
        "http://127.0.0.1:51004/Callback",
        "http://127.0.0.1:51004/callback/",
        "http://127.0.0.1:51004/callback?x=1",
        "http://127.0.0.1:51004/callback#",
        "http://127.0.0.1:51004",
        "https://127.0.0.1:51004/callback",
        "HTTP://127.0.0.1:51004/callback",
        "http://localhost:51004/callback",
        "http://localhost/callback",
        "http://[::1]:51004/callback",
        "http://127.0.0.2:51004/callback",
        "http://127.1:51004/callback",
        "http://0x7f000001:51004/callback",
        "http://2130706433:51004/callback",
        "http://127.0.0.01:51004/callback",
        "http://0.0.0.0:51004/callback",
        "http://127.0.0.1.nip.io:51004/callback",
        "http://localhost.evil.example/callback",
        "http://127.0.0.1.:51004/callback",
        "http://127.0.0.1:51004@evil.example/callback",
        "http://evil.example@127.0.0.1:51004/callback",
        "http://user:1@127.0.0.1/callback",
        "http://127.0.0.1:@evil.example/callback",
        "http://127.0.0.1:/callback",
        "http://127.0.0.1:65536/callback",
        "http://127.0.0.1:-1/callback",
        "http://127.0.0.1:+80/callback",
        "http://127.0.0.1: 80/callback",
        "http://127.0.0.1:8_0/callback",
        "http://127.0.0.1:0080/callback",
        "http://127.0.0.1:８０/callback",  # noqa: RUF001 - full-width digits on purpose
        "http://127.0.0.1:٨٠/callback",
        "http://127.0.0.1:80:80/callback",
        "http://127.0.0.1:80/callback:80",
        "http://127.0.0.1:80\\@evil.example/callback",
        "http://127。0。0。1/callback",
        "http://127.0.0.1%2f@evil.example/callback",
        "http://10.0.0.1:51004/callback",
    ]:
        with each(uri):
            assert_stays(story.authorize(story.world.mobile, redirect_uri=uri))


@pytest.mark.conformance("AZ-05")
@pytest.mark.parametrize("port", ["", ":1", ":8000", ":65535"])
@pytest.mark.parametrize("registered", ["http://localhost:3000/cb", "http://localhost/cb"])
def test_localhost_when_registered_by_name(story, port, registered):
    register(story.world, registered)
    uri = f"http://localhost{port}/cb"
    response = story.answer(story.authorize(redirect_uri=uri))
    assert response["Location"].startswith(f"{uri}?code=")


@pytest.mark.conformance("AZ-05", "OT-02")
def test_localhost_when_more_than_the_port_differs(story):
    for uri in [
        "http://127.0.0.1:51004/cb", "http://[::1]:51004/cb", "http://LOCALHOST:51004/cb",
        "http://localhost.:51004/cb", "http://a.localhost:51004/cb",
        "http://localhost.evil.example:51004/cb", "http://localhost:51004@evil.example/cb",
        "http://evil.example@localhost:51004/cb", "http://localhost:@evil.example/cb",
        "http://localhost:/cb", "http://localhost:065/cb", "http://localhost:65536/cb",
        "http://localhost:x/cb", "http://localhost:51004\\@evil.example/cb",
        "http://localhost%2eevil.example/cb", "http://l\u043ecalhost:51004/cb",
        "http://localhost:51004", "http://localhost:51004/", "http://localhost:51004/cb/",
        "http://localhost:51004/CB", "http://localhost:51004/cb?x=1", "http://localhost:51004/cb#",
        "https://localhost:51004/cb",
    ]:  # fmt: skip
        with each(uri):
            register(story.world, "http://localhost/cb")
            assert_stays(story.authorize(redirect_uri=uri))


@pytest.mark.conformance("AZ-05")
def test_address_when_registered(story):
    register(story.world, "http://127.0.0.1/cb http://[::1]/cb")
    assert_stays(story.authorize(redirect_uri="http://localhost:51004/cb"))
    for uri in ("http://127.0.0.1:51004/cb", "http://[::1]:51004/cb"):
        assert story.authorize(redirect_uri=uri).status_code == 200


@pytest.mark.conformance("AZ-05")
def test_https_uri_when_its_port_differs(story):
    for port in [":1", ":443", ":51004"]:
        with each(port):
            register(story.world, "https://127.0.0.1/cb")
            assert_stays(story.authorize(redirect_uri=f"https://127.0.0.1{port}/cb"))


# What an authorization response says may not stand in the registered URI already

OF_RESPONSES = [
    "code", "state", "iss", "error", "error_description", "error_uri", "access_token",
    "id_token", "token_type", "response", "session_state", "expires_in",
]  # fmt: skip
DISGUISES = [
    "code=x", "state", "CODE=x", "%63ode=x", "%63%6f%64%65=x", "code[]=x", "code%5B%5D=x",
    "code%5b0%5d=x", "+code=x", "%20code=x", "error.description=x", "error+uri=x", "a=1;code=x",
    "a=1&code=x&b=2", "a=1%26b=2&state=", "?code=x", "Iss=https://evil.example",
]  # fmt: skip


@pytest.mark.conformance("AZ-04")
def test_response_parameter_when_a_registered_uri_has_it(story):
    for query in [f"{name}=x" for name in OF_RESPONSES] + DISGUISES:
        with each(query):
            for base in ("https://a.example.com/cb", "http://127.0.0.1/cb", "com.example.app:/cb"):
                uri = f"{base}?{query}"
                register(story.world, uri)
                assert_stays(story.authorize(redirect_uri=uri))
                assert_stays(story.authorize(redirect_uri=None))


@pytest.mark.conformance("AZ-04")
def test_query_when_it_only_looks_like_a_response(story):
    for query in [
        "k=code", "codes=1", "my_code=1", "tenant=state", "a=%26code%3D1", "scope=x", "x", "",
    ]:  # fmt: skip
        with each(query):
            uri = f"https://a.example.com/cb?{query}"
            register(story.world, uri)
            assert story.authorize(redirect_uri=uri).status_code == 200


# What should never have been registered


@pytest.mark.conformance("BC-04")
@pytest.mark.parametrize("uri", DANGEROUS, ids=lambda uri: ascii(uri)[1:60])
@pytest.mark.parametrize("opened", [False, True], ids=["schemes-as-set", "schemes-opened"])
def test_dangerous_uri_when_a_fixture_stored_it(story, settings, uri, opened):
    if opened:
        settings.OAUTH2_PROVIDER = {
            **settings.OAUTH2_PROVIDER,
            "ALLOWED_REDIRECT_URI_SCHEMES": OPENED,
        }
    register(story.world, uri)
    assert_stays(story.authorize(redirect_uri=uri))
    assert_stays(story.authorize(redirect_uri=None))
    # Beside a good one it is no choice either
    register(story.world, f"https://a.example.com/good {uri}")
    assert_stays(story.authorize(redirect_uri=uri))
    good = story.authorize(redirect_uri="https://a.example.com/good", scope="no:such")
    assert redirected(good)["error"] == "invalid_scope"
    assert good["Location"].startswith("https://a.example.com/good?")


def test_dangerous_uri_when_registered_through_a_form(story):
    for uri in [
        "javascript:alert(1)", "JaVaScRiPt:alert(1)", "\x01javascript:alert(1)", "data:text/html,x",
        "vbscript:x", "blob:https://a.example.com/1", "file:///etc/passwd",
        "https://*.example.com/cb", "https://a.example.com/cb#x",
    ]:  # fmt: skip
        with each(uri):
            story.world.web.row.redirect_uris = uri
            with pytest.raises(ValidationError) as refused:
                story.world.web.row.full_clean()
            # Older toolkits name the field in the message only.
            assert "redirect" in " ".join(refused.value.messages)


class AnyRedirectUri(TestCase):
    """Whatever is sent: a Location only ever begins with the registered string."""

    @settings(deadline=None)
    @given(
        st.one_of(
            st.text(max_size=80),
            st.from_regex(r"https?://[a.exmplco@:\[\]%/\\?#;&=0-9]{0,60}", fullmatch=True),
            st.tuples(
                st.integers(0, len(REGISTERED)),
                st.integers(0, 3),
                st.text(alphabet="aA./\\?#@:;%&=\t \x00é", max_size=3),
            ).map(lambda cut: REGISTERED[: cut[0]] + cut[2] + REGISTERED[cut[0] + cut[1] :]),
        )
    )
    def test_redirect_uri_when_it_is_anything_then_only_the_registered_one_is_answered(self, uri):
        world = build_world()
        register(world, REGISTERED)
        story = Story(world, world.alice)
        response = story.authorize(redirect_uri=uri, scope="no:such")
        if uri in {"", REGISTERED}:
            assert response["Location"].startswith(f"{REGISTERED}&error=invalid_scope&")
        else:
            assert_stays(response)
