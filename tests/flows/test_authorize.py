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
    SERVICE_B,
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


@pytest.mark.conformance("AZ-01")
def test_get_when_person_is_signed_in_then_consent_page_is_shown(story):
    page = story.authorize()
    assert page.status_code == 200
    assert 'name="decision" value="allow"' in page.content.decode()


@pytest.mark.conformance("AZ-01", "AZ-02")
def test_get_when_nobody_is_signed_in_then_login_page_comes_first_and_leads_back(world):
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
        {"scope": "no:such"},
        {"response_type": "token"},
        {"response_type": None},
        {"code_challenge": None},
        {"resource": "https://elsewhere.example.com"},
        {"max_age": "soon"},
        {"prompt": "login none"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_bad_request_when_nobody_is_signed_in_then_login_comes_before_the_error(world, changes):
    response = Story(world).authorize(**changes)
    assert response.status_code == 302
    assert urlsplit(response["Location"])[:3] == ("", "", "/accounts/login/")


@pytest.mark.parametrize("method", ["put", "patch", "delete", "options", "head"])
def test_other_method_when_used_then_405_names_the_right_ones(story, method):
    response = getattr(story.browser, method)("/oauth/authorize")
    assert response.status_code == 405
    assert response["Allow"] == "GET, POST"


# The client and its redirect URI


@pytest.mark.conformance("AZ-03")
@pytest.mark.parametrize("client_id", [None, "", "nope", "WEB", "web ", "we%62", "web\t"])
def test_client_when_missing_or_unknown_then_error_page_and_no_redirect(story, client_id):
    assert_error_page(story.authorize(client_id=client_id))
    assert AuthorizationCode.objects.count() == 0


@pytest.mark.conformance("AZ-03")
def test_client_when_disabled_then_error_page_looks_like_an_unknown_client(story):
    story.world.web.change(enabled=False)
    disabled = story.authorize()
    assert_error_page(disabled)
    unknown = story.authorize(client_id="nope")
    assert "The client is unknown." in disabled.content.decode()
    assert "The client is unknown." in unknown.content.decode()


@pytest.mark.conformance("AZ-06")
def test_redirect_uri_when_several_are_registered_and_none_is_sent_then_error_page(story):
    register(story.world, REDIRECT_URI, "https://web.example.com/other")
    assert_error_page(story.authorize(redirect_uri=None))


@pytest.mark.conformance("AZ-06")
def test_redirect_uri_when_only_one_is_registered_then_it_may_be_left_out(story):
    response = story.answer(story.authorize(redirect_uri=None))
    assert response["Location"].startswith(REDIRECT_URI + "?")


@pytest.mark.conformance("AZ-05")
@pytest.mark.parametrize("port", ["", ":1", ":80", ":8000", ":51004", ":65535"])
def test_loopback_redirect_when_only_the_port_differs_then_it_is_accepted(story, port):
    uri = f"http://127.0.0.1{port}/callback"
    response = story.answer(story.authorize(story.world.mobile, redirect_uri=uri))
    assert response["Location"].startswith(f"{uri}?code=")


@pytest.mark.conformance("AZ-05")
@pytest.mark.parametrize("port", ["", ":1", ":51004"])
def test_ipv6_loopback_redirect_when_only_the_port_differs_then_it_is_accepted(story, port):
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
def test_registered_query_when_answering_then_it_is_kept_on_success_and_error(story, uri, begins):
    register(story.world, uri)
    allowed = story.answer(story.authorize())
    assert allowed["Location"].startswith(begins)
    refused = story.authorize(scope="no:such")
    assert refused["Location"].startswith(begins.replace("code=", "error=invalid_scope&"))


@pytest.mark.conformance("AZ-12")
@pytest.mark.parametrize("fragment", ["#", "#top", "#%20"])
def test_fragment_when_registered_then_form_refuses_it_and_endpoint_ignores_it(story, fragment):
    row = story.world.web.row
    row.redirect_uris = REDIRECT_URI + fragment
    if fragment != "#":
        with pytest.raises(ValidationError) as refused:
            row.clean()
        assert "redirect" in " ".join(refused.value.messages)
    register(story.world, REDIRECT_URI + fragment)
    assert_error_page(story.authorize())
    assert_error_page(story.authorize(redirect_uri=None))


@pytest.mark.conformance("BC-04")
@pytest.mark.parametrize(
    "uri", ["http://web.example.com/callback", "http://10.0.0.1/cb", "http://127.0.0.2/cb"]
)
def test_plain_http_redirect_when_not_loopback_then_no_code_goes_there(story, uri):
    register(story.world, uri)
    assert_error_page(story.authorize())
    assert_error_page(story.authorize(redirect_uri=None))


@pytest.mark.conformance("OT-12")
def test_private_scheme_when_it_has_no_dot_then_it_is_refused(story, settings):
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
def test_private_scheme_when_registered_with_any_slashes_then_they_come_back(story, settings, uri):
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
def test_bad_parameter_when_client_is_proven_then_redirect_names_the_error(story, changes, error):
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
def test_token_when_asked_for_at_this_endpoint_then_none_is_made_even_with_consent(story):
    page = story.authorize()
    answer = redirected(story.answer(page, response_type="token"))
    assert set(answer) == {"code", "state", "iss"}
    assert AccessToken.objects.count() == 0


@pytest.mark.conformance("AZ-09")
def test_client_when_not_allowed_this_flow_then_unauthorized_client(story):
    story.world.web.change(grants=["client_credentials"])
    assert redirected(story.authorize())["error"] == "unauthorized_client"


@pytest.mark.conformance("AZ-09")
def test_person_when_denying_then_access_denied(story):
    answer = redirected(story.answer(story.authorize(), decision="deny"))
    assert answer["error"] == "access_denied"
    assert answer["state"] == "af0ifjsldkj"


@pytest.mark.conformance("AZ-09")
def test_defect_when_it_happens_after_the_proof_then_server_error_is_redirected(story, monkeypatch):
    def fail(*_args):
        raise RuntimeError("a secret detail")

    monkeypatch.setattr("delegation_app.views.oauth.authorize.preparation.prepare", fail)
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
def test_state_when_strange_then_it_comes_back_exactly_on_success_and_error(story, state):
    assert redirected(story.answer(story.authorize(state=state)))["state"] == state
    assert redirected(story.authorize(state=state, scope="no:such"))["state"] == state
    denied = story.answer(story.authorize(state=state, prompt="consent"), decision="deny")
    assert redirected(denied)["state"] == state


def test_state_when_not_sent_then_none_comes_back(story):
    assert set(redirected(story.answer(story.authorize(state=None)))) == {"code", "iss"}
    assert "state" not in redirected(story.authorize(state=None, scope="no:such"))


@pytest.mark.conformance("IS-01", "IS-02", "IS-05", "AZ-21")
def test_issuer_when_answering_then_it_stands_in_success_denial_and_error(story):
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
def test_parameter_when_repeated_then_invalid_request_is_redirected(story, name):
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
def test_proof_when_repeated_then_error_page(story, name, first):
    query = urlencode(story.authorize_parameters())
    again = urlencode({name: story.authorize_parameters()[name]})
    assert_error_page(story.authorize_raw(f"{again}&{query}" if first else f"{query}&{again}"))


def test_resource_when_repeated_then_the_token_is_for_both(story):
    tokens = story.tokens(resource=[SERVICE_A, SERVICE_B])
    assert claims_of(tokens["access_token"])["aud"] == [SERVICE_A, SERVICE_B]


def test_unknown_parameter_when_sent_even_twice_then_it_is_ignored(story):
    query = urlencode(story.authorize_parameters()) + "&foo=1&foo=2&nonce=n"
    assert story.authorize_raw(query).status_code == 200


# The code


@pytest.mark.conformance("AZ-13")
def test_code_when_redeemed_twice_then_the_second_time_fails(story):
    code = story.code()
    assert story.redeem(code).status_code == 200
    assert story.redeem(code).json()["error"] == "invalid_grant"


@pytest.mark.conformance("AZ-13")
@pytest.mark.parametrize(("seconds", "status"), [(58, 200), (61, 400)])
def test_code_when_a_minute_has_passed_then_it_is_over(story, clock, seconds, status):
    code = story.code()
    clock.forward(seconds=seconds)
    assert story.redeem(code).status_code == status


@pytest.mark.conformance("AZ-13")
def test_code_when_redeemed_by_another_client_or_for_another_uri_then_refused_and_kept(story):
    code = story.code()
    assert story.redeem(code, story.world.other).json()["error"] == "invalid_grant"
    elsewhere = story.redeem(code, redirect_uri="https://web.example.com/other")
    assert elsewhere.json()["error"] == "invalid_grant"
    assert story.redeem(code, code_verifier="v" * 43).json()["error"] == "invalid_grant"
    assert story.redeem(code, redirect_uri=REDIRECT_URI).status_code == 200


@pytest.mark.conformance("OT-04")
def test_redirect_uri_when_left_out_at_the_token_endpoint_then_it_works(story):
    assert story.redeem(story.code(), redirect_uri=None).status_code == 200


@pytest.mark.conformance("OT-04")
def test_redirect_uri_when_sent_at_the_token_endpoint_then_it_must_be_the_same(story):
    code = story.code()
    for uri in (REDIRECT_URI + "/", "https://WEB.example.com/callback", "x"):
        assert story.redeem(code, redirect_uri=uri).json()["error"] == "invalid_grant"
    assert story.redeem(code, redirect_uri=REDIRECT_URI).status_code == 200


@pytest.mark.conformance("AZ-14")
def test_scope_when_person_narrows_then_the_client_is_told(story):
    tokens = story.tokens(scopes=["read:metrics"])
    assert tokens["scope"] == "read:metrics"


@pytest.mark.conformance("AZ-14")
def test_scope_when_left_out_then_the_default_is_asked_for_and_told(story):
    tokens = story.tokens(scope=None)
    assert tokens["scope"] == "read:metrics read:profile write:alerts"


# The server is nobody's springboard


@pytest.mark.conformance("AZ-20")
@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/",
        "//evil.example/",
        "///evil.example/",
        "/\\evil.example/",
        "\\\\evil.example",
        "https:evil.example",
        "javascript:alert(1)",
        "/\t/evil.example",
        "https://testserver@evil.example/",
    ],
)
def test_next_when_it_leads_elsewhere_then_login_and_logout_stay_here(world, settings, target):
    browser = Story(world).browser
    signed_in = browser.post(
        "/accounts/login/", {"username": "alice", "password": PASSWORD, "next": target}
    )
    assert (signed_in.status_code, signed_in["Location"]) == (303, settings.LOGIN_REDIRECT_URL)
    signed_out = browser.post("/accounts/logout/", {"next": target})
    assert (signed_out.status_code, signed_out["Location"]) == (302, settings.LOGOUT_REDIRECT_URL)


@pytest.mark.conformance("AZ-20")
def test_redirect_uri_when_posted_with_the_answer_then_it_changes_nothing(story):
    response = story.answer(
        story.authorize(), redirect_uri="https://evil.example/", next="https://evil.example/"
    )
    assert response["Location"].startswith(REDIRECT_URI + "?code=")


@pytest.mark.conformance("AZ-22")
@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"request": "e30.e30."}, "request_not_supported"),
        ({"request_uri": "https://evil.example/x"}, "request_uri_not_supported"),
        ({"request_uri": "http://127.0.0.1:1/"}, "request_uri_not_supported"),
        (
            {"request_uri": "urn:ietf:params:oauth:request_uri:abc"},
            "request_uri_not_supported",
        ),
    ],
)
def test_request_object_when_sent_then_refused_and_nothing_is_fetched(
    story, monkeypatch, changes, error
):
    def refuse(*_args):
        raise AssertionError("something was fetched")

    story.authorize(scope="no:such")  # a database connection that was not there yet is made here
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert redirected(story.authorize(**changes))["error"] == error


@pytest.mark.conformance("OT-11")
def test_other_origin_when_asking_here_then_no_cors_header_lets_it_read(story):
    query = "/oauth/authorize?" + urlencode(story.authorize_parameters())
    origin = {"HTTP_ORIGIN": "https://spa.example.com"}
    preflight = {"HTTP_ACCESS_CONTROL_REQUEST_METHOD": "GET", **origin}
    answers = [
        story.browser.get(query, **origin),
        story.browser.get("/oauth/authorize?client_id=nope", **origin),
        story.browser.options(query, **preflight),
        story.browser.post("/oauth/authorize", {"handle": "x"}, **origin),
    ]
    for answer in answers:
        assert [name for name in answer.headers if name.lower().startswith("access-control")] == []


@pytest.mark.conformance("BC-07")
def test_post_message_when_wanted_then_it_is_not_offered(story):
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


def test_client_without_policy_when_it_asks_then_safe_defaults_hold(story, settings):
    settings.DELEGATION = {**settings.DELEGATION, "DEFAULT_AUDIENCE": SERVICE_A}
    app = make_app(
        "bare", grants=(), audiences=[], redirect_uris="https://bare.example.com/cb", enabled=True
    )
    app.policy.delete()
    app.row.refresh_from_db()
    tokens = story.tokens(app, scope="read:metrics")
    assert claims_of(tokens["access_token"])["aud"] == SERVICE_A
    assert story.client_credentials(app).json()["error"] == "unauthorized_client"
