"""The authorization endpoint: who is asked what, and where which answer goes."""

import socket
from urllib.parse import urlencode, urlsplit

import pytest
from django.core.exceptions import ValidationError

from delegation_app import toolkit
from delegation_app.models import AccessToken, AuditEvent, AuthorizationCode, Delegation
from tests.support.world import (
    PASSWORD,
    REDIRECT_URI,
    SERVICE_A,
    Story,
    claims_of,
    make_app,
    redirected,
)

ISSUER = "https://as.example.com"
STRANGE_STATE = "a+b%2F=&é 😀'\"<;#?"


def assert_error_page(response):
    """A page for the person, and no way to the client."""
    assert response.status_code == 400
    assert response["Content-Type"].startswith("text/html")
    assert "Location" not in response
    assert b'role="alert"' in response.content


def register(world, *uris):
    """Give web other redirect URIs, as a fixture would: without the forms' checks."""
    toolkit.application_model().objects.filter(pk=world.web.row.pk).update(
        redirect_uris=" ".join(uris)
    )
    world.web.row.refresh_from_db()


# The request is taken


@pytest.mark.conformance("AZ-01", "AZ-02")
def test_get_when_nobody_is_signed_in(world):
    story = Story(world)
    to_login = story.authorize()
    assert to_login.status_code == 302
    assert to_login["Location"].startswith("/accounts/login/?next=/oauth/authorize")
    form = story.browser.get(to_login["Location"])
    signed_in = story.browser.post(
        "/accounts/login/",
        {"username": "alice", "password": PASSWORD, "next": form.context["next"]},
    )
    assert signed_in.status_code == 303
    page = story.browser.get(signed_in["Location"])
    assert page.status_code == 200
    assert story.redeem(redirected(story.answer(page))["code"]).status_code == 200


@pytest.mark.conformance("AZ-02")
@pytest.mark.parametrize(
    "changes",
    [
        {"scope": "no:such"}, {"response_type": "token"}, {"response_type": None},
        {"code_challenge": None}, {"resource": "https://elsewhere.example.com"},
        {"max_age": "soon"}, {"prompt": "login none"},
    ],
    ids=lambda changes: next(iter(changes)),
)  # fmt: skip
def test_bad_request_when_nobody_is_signed_in(world, changes):
    response = Story(world).authorize(**changes)
    assert response.status_code == 302
    assert urlsplit(response["Location"])[:3] == ("", "", "/accounts/login/")


# The client and its redirect URI


@pytest.mark.conformance("AZ-03")
@pytest.mark.parametrize("client_id", [None, "", "nope", "WEB", "web ", "we%62", "web\t"])
def test_client_when_missing_or_unknown(story, client_id):
    assert_error_page(story.authorize(client_id=client_id))
    assert AuthorizationCode.objects.count() == 0


@pytest.mark.conformance("AZ-03")
def test_client_when_disabled(story):
    story.world.web.change(enabled=False)
    disabled = story.authorize()
    assert_error_page(disabled)
    unknown = story.authorize(client_id="nope")
    assert "The client is unknown." in disabled.content.decode()
    assert "The client is unknown." in unknown.content.decode()


@pytest.mark.conformance("AZ-06")
def test_redirect_uri_when_several_are_registered_and_none_is_sent(story):
    register(story.world, REDIRECT_URI, "https://web.example.com/other")
    assert_error_page(story.authorize(redirect_uri=None))


@pytest.mark.conformance("AZ-06")
def test_redirect_uri_when_only_one_is_registered(story):
    response = story.answer(story.authorize(redirect_uri=None))
    assert response["Location"].startswith(REDIRECT_URI + "?")


@pytest.mark.conformance("AZ-05")
@pytest.mark.parametrize("port", ["", ":1", ":80", ":8000", ":51004", ":65535"])
def test_loopback_redirect_when_only_the_port_differs(story, port):
    uri = f"http://127.0.0.1{port}/callback"
    response = story.answer(story.authorize(story.world.mobile, redirect_uri=uri))
    assert response["Location"].startswith(f"{uri}?code=")


@pytest.mark.conformance("AZ-05")
@pytest.mark.parametrize("port", ["", ":1", ":51004"])
def test_ipv6_loopback_redirect_when_only_the_port_differs(story, port):
    register(story.world, "http://[::1]/callback")
    uri = f"http://[::1]{port}/callback"
    response = story.answer(story.authorize(redirect_uri=uri))
    assert response["Location"].startswith(f"{uri}?code=")


@pytest.mark.conformance("AZ-12")
@pytest.mark.parametrize(
    ("uri", "begins"),
    [
        ("https://web.example.com/cb?x=1", "https://web.example.com/cb?x=1&code="),
        ("https://web.example.com/cb?x=1&y=a%20b", "https://web.example.com/cb?x=1&y=a%20b&code="),
        ("https://web.example.com/cb?", "https://web.example.com/cb?code="),
        ("https://web.example.com", "https://web.example.com?code="),
        ("https://web.example.com/a;b=1", "https://web.example.com/a;b=1?code="),
    ],
)
def test_registered_query_when_answering(story, uri, begins):
    register(story.world, uri)
    allowed = story.answer(story.authorize())
    assert allowed["Location"].startswith(begins)
    refused = story.authorize(scope="no:such")
    assert refused["Location"].startswith(begins.replace("code=", "error=invalid_scope&"))


@pytest.mark.conformance("AZ-12")
@pytest.mark.parametrize("fragment", ["#", "#top", "#%20"])
def test_fragment_when_registered(story, fragment):
    row = story.world.web.row
    row.redirect_uris = REDIRECT_URI + fragment
    if fragment != "#":
        with pytest.raises(ValidationError) as refused:
            row.clean()
        assert "redirect" in " ".join(refused.value.messages)
    register(story.world, REDIRECT_URI + fragment)
    assert_error_page(story.authorize())
    assert_error_page(story.authorize(redirect_uri=None))


@pytest.mark.conformance("OT-12")
def test_private_scheme_when_it_has_no_dot(story, settings):
    settings.OAUTH2_PROVIDER = {
        **settings.OAUTH2_PROVIDER,
        "ALLOWED_REDIRECT_URI_SCHEMES": ["https", "myapp", "com.example.app"],
    }
    register(story.world, "myapp:/cb", "com.example.app:/cb")
    assert_error_page(story.authorize(redirect_uri="myapp:/cb"))
    response = story.answer(story.authorize(redirect_uri="com.example.app:/cb"))
    assert response["Location"].startswith("com.example.app:/cb?code=")


@pytest.mark.parametrize(
    "uri", ["com.example.app:///cb", "com.example.app://cb", "com.example.app:cb"]
)
def test_private_scheme_when_registered_with_any_slashes(story, settings, uri):
    settings.OAUTH2_PROVIDER = {
        **settings.OAUTH2_PROVIDER,
        "ALLOWED_REDIRECT_URI_SCHEMES": ["com.example.app"],
    }
    register(story.world, uri)
    response = story.answer(story.authorize())
    assert response["Location"].startswith(f"{uri}?code=")


# Errors that are sent to the client


@pytest.mark.conformance("AZ-07", "AZ-08", "AZ-09")
@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": None}, "invalid_request"),
        ({"response_type": ""}, "invalid_request"),
        ({"response_type": "foo"}, "unsupported_response_type"),
        ({"response_type": "CODE"}, "unsupported_response_type"),
        ({"response_type": "code code"}, "unsupported_response_type"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "code token"}, "unsupported_response_type"),
        ({"response_type": "id_token token"}, "unsupported_response_type"),
        ({"response_type": "none"}, "unsupported_response_type"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"response_mode": "web_message"}, "invalid_request"),
        ({"scope": "no:such"}, "invalid_scope"),
        ({"scope": "delete:alerts"}, "invalid_scope"),
        ({"scope": 'a"b'}, "invalid_scope"),
        ({"resource": "https://elsewhere.example.com"}, "invalid_target"),
        ({"resource": "not a uri"}, "invalid_target"),
        ({"resource": SERVICE_A + "#frag"}, "invalid_target"),
        ({"authorization_details": "[]"}, "invalid_request"),
        ({"dpop_jkt": "x"}, "invalid_request"),
        ({"prompt": "now"}, "invalid_request"),
        ({"state": "s" * 2049}, "invalid_request"),
    ],
)
def test_bad_parameter_when_client_is_proven(story, changes, error):
    response = story.authorize(**changes)
    assert response["Location"].startswith(REDIRECT_URI + "?")
    answer = redirected(response)
    assert answer["error"] == error
    assert answer["state"] == changes.get("state", "af0ifjsldkj")
    assert answer["iss"] == ISSUER
    assert "code" not in answer
    assert Delegation.objects.count() == AccessToken.objects.count() == 0
    refusal = AuditEvent.objects.get()
    assert (refusal.event, refusal.reason, refusal.client_id_value) == (
        "request.refused",
        error,
        "web",
    )


@pytest.mark.conformance("AZ-08", "OT-03")
def test_token_when_asked_for_at_this_endpoint(story):
    page = story.authorize()
    answer = redirected(story.answer(page, response_type="token"))
    assert set(answer) == {"code", "state", "iss"}
    assert AccessToken.objects.count() == 0


@pytest.mark.conformance("AZ-09")
def test_defect_when_it_happens_after_the_proof(story, monkeypatch):
    def fail(*_args):
        raise RuntimeError("a secret detail")

    monkeypatch.setattr("delegation_app.services.consent.preparation.prepare", fail)
    response = story.authorize()
    answer = redirected(response)
    assert answer["error"] == "server_error"
    assert answer["state"] == "af0ifjsldkj"
    assert "secret" not in response["Location"]


# What comes back


@pytest.mark.conformance("AZ-10")
@pytest.mark.parametrize(
    "state", [STRANGE_STATE, "0", " ", "a b", "%25", "x" * 2048, "\u202e", "a\r\nb", "\U0010ffff"]
)
def test_state_when_strange(story, state):
    assert redirected(story.answer(story.authorize(state=state)))["state"] == state
    assert redirected(story.authorize(state=state, scope="no:such"))["state"] == state
    denied = story.answer(story.authorize(state=state, prompt="consent"), decision="deny")
    assert redirected(denied)["state"] == state


def test_state_when_not_sent(story):
    assert set(redirected(story.answer(story.authorize(state=None)))) == {"code", "iss"}
    assert "state" not in redirected(story.authorize(state=None, scope="no:such"))


@pytest.mark.conformance("IS-01", "IS-02", "IS-05", "AZ-21")
def test_issuer_when_answering(story):
    published = story.wire.get("/.well-known/oauth-authorization-server").json()["issuer"]
    success = story.answer(story.authorize())
    denial = story.answer(story.authorize(prompt="consent"), decision="deny")
    silent = story.authorize(prompt="none", scope="read:profile")
    error = story.authorize(scope="no:such")
    for response in (success, denial, silent, error):
        assert redirected(response)["iss"] == published
        # Encoded once: decoding twice would change nothing, encoding twice would show here
        assert response["Location"].count(urlencode({"iss": published})) == 1
    parts = urlsplit(published)
    assert (parts.scheme, parts.query, parts.fragment) == ("https", "", "")


# Repeated parameters

REPEATED = [
    "response_type", "scope", "state", "code_challenge", "code_challenge_method", "prompt",
    "max_age", "response_mode",
]  # fmt: skip


@pytest.mark.conformance("AZ-11")
@pytest.mark.parametrize("name", REPEATED)
def test_parameter_when_repeated(story, name):
    good = {"prompt": "login", "max_age": "9", "response_mode": "query"}
    parameters = story.authorize_parameters(**{name: good.get(name)} if name in good else {})
    query = urlencode(parameters) + "&" + urlencode({name: parameters[name]})
    answer = redirected(story.authorize_raw(query))
    assert answer["error"] == "invalid_request"
    # Two states: neither is the client's word
    assert answer.get("state") == (None if name == "state" else "af0ifjsldkj")


@pytest.mark.conformance("AZ-11")
@pytest.mark.parametrize("name", ["client_id", "redirect_uri"])
@pytest.mark.parametrize("first", [True, False])
def test_proof_when_repeated(story, name, first):
    query = urlencode(story.authorize_parameters())
    again = urlencode({name: story.authorize_parameters()[name]})
    assert_error_page(story.authorize_raw(f"{again}&{query}" if first else f"{query}&{again}"))


@pytest.mark.conformance("AZ-14")
def test_scope_when_left_out(story):
    tokens = story.tokens(scope=None)
    assert tokens["scope"] == "read:metrics read:profile write:alerts"


# The server is nobody's springboard


@pytest.mark.conformance("AZ-22")
@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"request": "e30.e30."}, "request_not_supported"),
        ({"request_uri": "https://evil.example/x"}, "request_uri_not_supported"),
        ({"request_uri": "http://127.0.0.1:1/"}, "request_uri_not_supported"),
        ({"request_uri": "urn:ietf:params:oauth:request_uri:abc"}, "request_uri_not_supported"),
    ],
)
def test_request_object_when_sent(story, monkeypatch, changes, error):
    def refuse(*_args):
        raise AssertionError("something was fetched")

    story.authorize(scope="no:such")  # a database connection that was not there yet is made here
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert redirected(story.authorize(**changes))["error"] == error


@pytest.mark.conformance("BC-07")
def test_post_message_when_wanted(story):
    answer = redirected(story.authorize(response_mode="web_message"))
    assert answer["error"] == "invalid_request"
    document = story.wire.get("/.well-known/oauth-authorization-server").json()
    assert document["response_modes_supported"] == ["query"]
    for page in (story.authorize(), story.authorize(client_id="nope")):
        html = page.content.decode().lower()
        assert "<script" not in html
        assert "postmessage" not in html
        assert "default-src 'none'" in page["Content-Security-Policy"]
        assert "script-src" not in page["Content-Security-Policy"]


def test_client_without_policy_when_it_asks(story, settings):
    settings.DELEGATION = {**settings.DELEGATION, "DEFAULT_AUDIENCE": SERVICE_A}
    app = make_app(
        "bare", grants=(), audiences=[], redirect_uris="https://bare.example.com/cb", enabled=True
    )
    app.policy.delete()
    app.row.refresh_from_db()
    tokens = story.tokens(app, scope="read:metrics")
    assert claims_of(tokens["access_token"])["aud"] == SERVICE_A
    assert story.client_credentials(app).json()["error"] == "unauthorized_client"
