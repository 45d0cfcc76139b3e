"""Who speaks: RFC 6749 section 2.3, at every endpoint where clients authenticate."""

import base64
from unittest import mock
from urllib.parse import quote_plus

import pytest
from django.contrib.auth.hashers import MD5PasswordHasher
from django.test import override_settings

from delegation_app.models import AuditEvent
from tests.support.answers import each, nothing_stored, refusal_recorded, refused
from tests.support.world import claims_of, make_app

REQUESTS = {
    "/oauth/token": {"grant_type": "client_credentials"},
    "/oauth/revoke": {"token": "unknown"},
    "/oauth/introspect": {"token": "unknown"},
}

everywhere = pytest.mark.parametrize("path", REQUESTS)


def basic(client_id, secret, *, encode=quote_plus, scheme="Basic"):
    pair = f"{encode(client_id)}:{encode(secret)}".encode()
    return f"{scheme} {base64.b64encode(pair).decode()}"


@pytest.fixture
def service(world):
    """A client that may call all three endpoints."""
    return world.service_a_client


def ask(story, path, authorization=None, **more):
    """Call an endpoint with a good request, except for what is given."""
    headers = {} if authorization is None else {"HTTP_AUTHORIZATION": authorization}
    return story.post(path, {**REQUESTS[path], **more}, **headers)


@everywhere
@pytest.mark.conformance("CA-01")
def test_basic_when_id_and_secret_have_special_characters_then_they_are_decoded(story, world, path):
    odd = make_app(
        "a:b c", grants=["client_credentials"], audiences=[world.service_a], speaks_for=None
    )
    odd.row.client_secret = secret = "p+ä%:x&=/ 100%25"
    odd.row.save()
    assert ask(story, path, basic("a:b c", secret)).status_code == 200
    # Not form-encoded, the header names a client "a".
    with refusal_recorded("invalid_client", client_id_value="a"):
        refused(ask(story, path, basic("a:b c", secret, encode=str)), "invalid_client", 401)


@pytest.mark.conformance("CA-01")
@pytest.mark.parametrize("secret", ["with:colon", "50%", "a+b c", "ünïcödé-🔑", "%41", "~._-"])
def test_basic_when_the_secret_is_unusual_then_it_is_compared_as_it_was_registered(
    story, world, secret
):
    world.cron.row.client_secret = secret
    world.cron.row.save()
    response = ask(story, "/oauth/token", basic("cron", secret))
    assert claims_of(response.json()["access_token"])["client_id"] == "cron"
    refused(ask(story, "/oauth/token", basic("cron", secret + " ")), "invalid_client", 401)


@everywhere
@pytest.mark.conformance("CA-02")
def test_secret_in_the_body_when_right_then_it_is_taken(story, service, path):
    good = ask(story, path, client_id=service.client_id, client_secret=service.secret)
    assert good.status_code == 200


@everywhere
@pytest.mark.conformance("CA-03")
@pytest.mark.parametrize("secret", ["right", "wrong"])
def test_two_methods_when_used_at_once_then_the_request_is_refused(story, service, path, secret):
    secret = service.secret if secret == "right" else "wrong"
    with refusal_recorded("invalid_request"):
        response = ask(story, path, service.basic(), client_secret=secret)
    refused(response, "invalid_request")


@everywhere
@pytest.mark.conformance("CA-04", "GEN-14", "RV-02", "IN-02")
def test_basic_when_the_secret_is_wrong_then_401_challenges_with_basic(story, service, path):
    with refusal_recorded("invalid_client", client_id_value=service.client_id, actor=""):
        response = ask(story, path, basic(service.client_id, "wrong"))
    refused(response, "invalid_client", 401)
    assert response["WWW-Authenticate"].startswith('Basic realm="')


@everywhere
@pytest.mark.conformance("CA-05", "GEN-14")
def test_secret_in_the_body_when_wrong_then_401_has_a_challenge(story, service, path):
    with refusal_recorded("invalid_client", client_id_value=service.client_id):
        response = ask(story, path, client_id=service.client_id, client_secret="wrong")
    refused(response, "invalid_client", 401)
    assert response["WWW-Authenticate"].startswith('Basic realm="')


@everywhere
@pytest.mark.parametrize("method", ["basic", "post"])
@pytest.mark.conformance("CA-06")
def test_failure_when_the_client_is_unknown_disabled_or_wrong_then_answers_are_the_same(
    story, world, service, path, method
):
    world.cron.change(enabled=False)

    def answer(client_id, secret):
        if method == "basic":
            response = ask(story, path, basic(client_id, secret))
        else:
            response = ask(story, path, client_id=client_id, client_secret=secret)
        headers = {k: v for k, v in response.items() if k != "X-Request-Id"}
        return response.status_code, response.content, headers

    unknown = answer("nobody", "secret")
    assert unknown[0] == 401
    assert answer(service.client_id, "wrong") == unknown
    assert answer("cron", "wrong") == unknown
    assert answer("cron", world.cron.secret) == unknown


@everywhere
@pytest.mark.conformance("CA-06")
def test_failure_when_the_client_is_unknown_disabled_or_wrong_then_each_costs_one_hash(
    story, world, service, path
):
    world.cron.change(enabled=False)
    encode = MD5PasswordHasher.encode
    for client_id, secret in (
        ("nobody", "secret"),
        (service.client_id, "wrong"),
        ("cron", "wrong"),
        ("cron", world.cron.secret),
    ):
        with mock.patch.object(MD5PasswordHasher, "encode", autospec=True) as hashed:
            hashed.side_effect = encode
            refused(ask(story, path, basic(client_id, secret)), "invalid_client", 401)
        assert hashed.call_count == 1, client_id


@pytest.mark.conformance("CA-07")
def test_confidential_client_when_it_sends_no_secret_then_a_valid_code_is_refused(story, world):
    code = story.code()
    with refusal_recorded("invalid_client", client_id_value="web"):
        response = story.post(
            "/oauth/token",
            {"grant_type": "authorization_code", "code": code, "client_id": "web"},
        )
    refused(response, "invalid_client", 401)
    assert story.redeem(code).status_code == 200


@pytest.mark.conformance("CA-07")
def test_confidential_client_when_it_sends_no_secret_then_a_valid_refresh_token_is_refused(story):
    refresh_token = story.tokens()["refresh_token"]
    with refusal_recorded("invalid_client", client_id_value="web"):
        response = story.post(
            "/oauth/token",
            {"grant_type": "refresh_token", "refresh_token": refresh_token, "client_id": "web"},
        )
    refused(response, "invalid_client", 401)
    assert story.refresh(refresh_token).status_code == 200


@everywhere
@pytest.mark.conformance("CA-07", "IN-01", "RV-02")
def test_nobody_when_no_client_is_named_then_401(story, path):
    with refusal_recorded("invalid_client", client_id_value=""):
        response = ask(story, path)
    refused(response, "invalid_client", 401)
    assert response["WWW-Authenticate"].startswith('Basic realm="')


@pytest.mark.conformance("CA-08")
def test_public_client_when_it_names_itself_then_it_is_served(story, world):
    tokens = story.tokens(world.mobile)
    assert claims_of(tokens["access_token"])["client_id"] == "mobile"
    assert story.revoke(tokens["refresh_token"], world.mobile).status_code == 200


@pytest.mark.conformance("CA-08")
def test_public_client_when_it_introspects_then_it_is_refused(story, world):
    token = story.tokens(world.mobile)["access_token"]
    with refusal_recorded("unauthorized_client", client_id_value="mobile"):
        refused(story.introspect(token, world.mobile), "unauthorized_client")


@everywhere
@pytest.mark.conformance("CA-09")
@pytest.mark.parametrize("registered", ["client_secret_basic", "client_secret_post"])
def test_method_when_it_is_not_the_registered_one_then_401(story, service, path, registered):
    service.change(token_endpoint_auth_method=registered)
    with_basic = ask(story, path, service.basic())
    with_body = ask(story, path, client_id=service.client_id, client_secret=service.secret)
    right, wrong = with_basic, with_body
    if registered == "client_secret_post":
        right, wrong = wrong, right
    assert right.status_code == 200
    refused(wrong, "invalid_client", 401)


@pytest.mark.parametrize("authorization", ["basic", "body"])
@pytest.mark.conformance("CA-09")
def test_public_client_when_it_sends_a_secret_then_401(story, world, authorization):
    refresh_token = story.tokens(world.mobile)["refresh_token"]
    data = {"grant_type": "refresh_token", "refresh_token": refresh_token}
    with refusal_recorded("invalid_client", client_id_value="mobile"):
        if authorization == "basic":
            response = story.post(
                "/oauth/token", data, HTTP_AUTHORIZATION=basic("mobile", "anything")
            )
        else:
            response = story.post(
                "/oauth/token", {**data, "client_id": "mobile", "client_secret": "anything"}
            )
    refused(response, "invalid_client", 401)


@everywhere
@pytest.mark.conformance("CA-10")
def test_client_id_when_header_and_body_differ_then_the_request_is_refused(story, service, path):
    with refusal_recorded("invalid_request"):
        response = ask(story, path, service.basic(), client_id="cron")
    refused(response, "invalid_request")
    same = ask(story, path, service.basic(), client_id=service.client_id)
    assert same.status_code == 200


@everywhere
@pytest.mark.conformance("CA-11")
def test_wrong_secrets_when_there_are_many_then_429_for_that_client_only(
    story, world, service, path
):
    with override_settings(
        DELEGATION={"ISSUER": "https://as.example.com", "FAILED_AUTHENTICATIONS_PER_MINUTE": 4}
    ):
        for attempt in range(4):
            wrong = ask(story, path, basic(service.client_id, f"wrong{attempt}"))
            refused(wrong, "invalid_client", 401)
        events = AuditEvent.objects.count()
        blocked = ask(story, path, basic(service.client_id, "wrong again"))
        refused(blocked, "temporarily_unavailable", 429)
        assert 1 <= int(blocked["Retry-After"]) <= 60
        # A flood may not fill the audit trail either.
        assert AuditEvent.objects.count() == events
        # Even the right secret waits: otherwise the guesses would go on.
        refused(ask(story, path, service.basic()), "temporarily_unavailable", 429)
        other = world.service_b_client
        assert ask(story, path, other.basic()).status_code == 200


@pytest.mark.conformance("CA-11")
def test_wrong_secrets_when_the_client_is_already_known_here_then_it_is_not_locked_out(
    story, world
):
    assert story.client_credentials().status_code == 200
    for attempt in range(12):
        ask(story, "/oauth/token", basic("cron", f"wrong{attempt}"))
    refused(ask(story, "/oauth/token", basic("cron", "x")), "temporarily_unavailable", 429)
    assert story.client_credentials().status_code == 200


@everywhere
@pytest.mark.conformance("CA-12")
@pytest.mark.parametrize("scheme", ["basic", "BASIC", "bAsIc"])
def test_scheme_when_it_is_written_in_another_case_then_it_is_understood(
    story, service, path, scheme
):
    authorization = basic(service.client_id, service.secret, scheme=scheme)
    assert ask(story, path, authorization).status_code == 200


def b64(raw):
    return "Basic " + base64.b64encode(raw).decode()


@pytest.mark.conformance("CA-12", "GEN-14")
@pytest.mark.parametrize(
    "authorization",
    [
        pytest.param("", id="empty"),
        pytest.param("Basic", id="no credentials"),
        pytest.param("Basic ", id="empty credentials"),
        pytest.param("Basic !!!", id="no base64"),
        pytest.param("Basic YTpi YTpi", id="two words"),
        pytest.param("Basic YTpi=", id="wrong padding"),
        pytest.param("Basic Y", id="one character"),
        pytest.param("Basic YWJj", id="no colon"),
        pytest.param("Basic \xe4\xf6\xfc", id="not ASCII"),
        pytest.param("B\xe4sic YTpi", id="scheme not ASCII"),
        pytest.param(b64(b":secret"), id="no client id"),
        pytest.param(b64(b"\xff\xfe:\xff"), id="not UTF-8"),
        pytest.param(b64(b"%FF:secret"), id="not UTF-8 when decoded"),
        pytest.param(b64(b"%ED%A0%80:secret"), id="surrogate"),
        pytest.param(b64(b"service-a\x00:secret"), id="NUL"),
        pytest.param(b64(b"service-a%00:secret"), id="NUL when decoded"),
        pytest.param(b64(b"a" * 2**20 + b":b"), id="1 MB client id"),
        pytest.param(b64(b"service-a:" + b"b" * 2**20), id="1 MB secret"),
        pytest.param("Bearer abc", id="Bearer"),
        pytest.param('Digest username="service-a"', id="Digest"),
        pytest.param("YTpi", id="no scheme"),
        pytest.param(", ,", id="commas"),
    ],
)
def test_authorization_when_it_is_malformed_then_401_and_nothing_else(story, authorization):
    for path in REQUESTS:
        with each(path), refusal_recorded("invalid_client"):
            refused(ask(story, path, authorization), "invalid_client", 401)


@everywhere
def test_authorization_when_it_can_not_be_read_then_the_body_does_not_replace_it(
    story, service, path
):
    with refusal_recorded("invalid_client"):
        response = ask(
            story, path, "Basic !!!", client_id=service.client_id, client_secret=service.secret
        )
    refused(response, "invalid_client", 401)


@pytest.mark.conformance("CA-16")
def test_metadata_when_no_assertion_method_is_offered_then_no_algorithms_are_promised(client, db):
    document = client.get("/.well-known/oauth-authorization-server").json()
    methods = [v for k, v in document.items() if k.endswith("_auth_methods_supported")]
    assert len(methods) == 3
    for offered in methods:
        assert offered
        assert set(offered) <= {"client_secret_basic", "client_secret_post", "none"}
    assert not [k for k in document if k.endswith("_signing_alg_values_supported")]


@everywhere
def test_assertion_when_one_is_sent_then_it_is_refused_and_not_ignored(story, service, path):
    with refusal_recorded("invalid_client"):
        response = ask(
            story,
            path,
            client_id=service.client_id,
            client_secret=service.secret,
            client_assertion="a.b.c",
            client_assertion_type="urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        )
    refused(response, "invalid_client", 401)


@everywhere
def test_disabled_client_when_it_was_known_here_then_it_is_refused_at_once(story, service, path):
    assert ask(story, path, service.basic()).status_code == 200
    service.change(enabled=False)
    with nothing_stored():
        refused(ask(story, path, service.basic()), "invalid_client", 401)


@everywhere
def test_secret_when_it_is_changed_then_the_old_one_ends_at_once(story, service, path):
    assert ask(story, path, service.basic()).status_code == 200
    old = service.basic()
    service.row.client_secret = service.secret = "another-secret-of-good-length-93b1"
    service.row.save()
    refused(ask(story, path, old), "invalid_client", 401)
    assert ask(story, path, service.basic()).status_code == 200


@everywhere
@pytest.mark.parametrize("method", ["basic", "post", "none"])
def test_empty_secret_when_a_row_was_stored_with_one_then_it_opens_nothing(
    story, service, path, method
):
    service.row.client_secret = ""
    service.row.save()
    with refusal_recorded("invalid_client", client_id_value=service.client_id):
        if method == "basic":
            response = ask(story, path, basic(service.client_id, ""))
        elif method == "post":
            response = ask(story, path, client_id=service.client_id, client_secret="")
        else:
            response = ask(story, path, client_id=service.client_id)
    refused(response, "invalid_client", 401)
