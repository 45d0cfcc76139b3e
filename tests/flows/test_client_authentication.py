"""Client authentication and client credentials: RFC 6749 sections 2.3 and 4.4."""

import base64
from unittest import mock
from urllib.parse import quote_plus

import pytest
from django.contrib.auth.hashers import MD5PasswordHasher
from django.test import override_settings

from delegation_app.models import AuditEvent, Delegation, RefreshToken
from delegation_app.services.audit import RequestContext
from delegation_app.services.delegations import revocation
from tests.support.answers import each, never_stored, recorded, refusal_recorded, refused, refuses
from tests.support.world import SERVICE_A, SERVICE_B, claims_of, delegation_of, make_app

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
def test_basic_when_id_and_secret_have_special_characters(story, world, path):
    odd = make_app(
        "a:b c", grants=["client_credentials"], audiences=[world.service_a], speaks_for=None
    )
    odd.row.client_secret = secret = "p+ä%:x&=/ 100%25"
    odd.row.save()
    assert ask(story, path, basic("a:b c", secret)).status_code == 200
    # Not form-encoded, the header names a client "a".
    with refusal_recorded("invalid_client", client_id_value="a"):
        refused(ask(story, path, basic("a:b c", secret, encode=str)), "invalid_client", 401)


@everywhere
@pytest.mark.conformance("CA-02", "OT-05")
def test_secret_in_the_body_when_right(story, service, path):
    good = ask(story, path, client_id=service.client_id, client_secret=service.secret)
    assert good.status_code == 200


@everywhere
@pytest.mark.conformance("CA-03")
@pytest.mark.parametrize("secret", ["right", "wrong"])
def test_two_methods_when_used_at_once(story, service, path, secret):
    secret = service.secret if secret == "right" else "wrong"
    refuses("invalid_request", lambda: ask(story, path, service.basic(), client_secret=secret))


@everywhere
@pytest.mark.conformance("CA-04", "GEN-14", "RV-02", "IN-02")
def test_basic_when_the_secret_is_wrong(story, service, path):
    with refusal_recorded("invalid_client", client_id_value=service.client_id, actor=""):
        response = ask(story, path, basic(service.client_id, "wrong"))
    refused(response, "invalid_client", 401)
    assert response["WWW-Authenticate"].startswith('Basic realm="')


@everywhere
@pytest.mark.conformance("CA-05", "GEN-14")
def test_secret_in_the_body_when_wrong(story, service, path):
    with refusal_recorded("invalid_client", client_id_value=service.client_id):
        response = ask(story, path, client_id=service.client_id, client_secret="wrong")
    refused(response, "invalid_client", 401)
    assert response["WWW-Authenticate"].startswith('Basic realm="')


@everywhere
@pytest.mark.parametrize("method", ["basic", "post"])
@pytest.mark.conformance("CA-06")
def test_failure_for_any_reason_gets_the_same_answer(story, world, service, path, method):
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
def test_failure_for_any_reason_costs_one_hash(story, world, service, path):
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
def test_confidential_client_when_it_sends_no_secret(story, world):
    code = story.code()
    with refusal_recorded("invalid_client", client_id_value="web"):
        response = story.post(
            "/oauth/token", {"grant_type": "authorization_code", "code": code, "client_id": "web"}
        )
    refused(response, "invalid_client", 401)
    assert story.redeem(code).status_code == 200


@pytest.mark.conformance("CA-08")
def test_public_client_when_it_introspects(story, world):
    token = story.tokens(world.mobile)["access_token"]
    with refusal_recorded("unauthorized_client", client_id_value="mobile"):
        refused(story.introspect(token, world.mobile), "unauthorized_client")


@everywhere
@pytest.mark.conformance("CA-10")
def test_client_id_when_header_and_body_differ(story, service, path):
    refuses("invalid_request", lambda: ask(story, path, service.basic(), client_id="cron"))
    same = ask(story, path, service.basic(), client_id=service.client_id)
    assert same.status_code == 200


@everywhere
@pytest.mark.conformance("CA-11")
def test_wrong_secrets_when_there_are_many(story, world, service, path):
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
def test_wrong_secrets_when_the_client_is_already_known_here(story, world):
    assert story.client_credentials().status_code == 200
    for attempt in range(12):
        ask(story, "/oauth/token", basic("cron", f"wrong{attempt}"))
    refused(ask(story, "/oauth/token", basic("cron", "x")), "temporarily_unavailable", 429)
    assert story.client_credentials().status_code == 200


@everywhere
@pytest.mark.conformance("CA-12")
@pytest.mark.parametrize("scheme", ["basic", "BASIC", "bAsIc"])
def test_scheme_when_it_is_written_in_another_case(story, service, path, scheme):
    authorization = basic(service.client_id, service.secret, scheme=scheme)
    assert ask(story, path, authorization).status_code == 200


def b64(raw):
    return "Basic " + base64.b64encode(raw).decode()


@pytest.mark.conformance("CA-12", "GEN-14", "IN-01", "RV-02", "CA-07")
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
def test_authorization_when_it_is_malformed(story, authorization):
    for path in REQUESTS:
        with each(path), refusal_recorded("invalid_client"):
            refused(ask(story, path, authorization), "invalid_client", 401)


@everywhere
def test_authorization_when_it_can_not_be_read(story, service, path):
    with refusal_recorded("invalid_client"):
        response = ask(
            story, path, "Basic !!!", client_id=service.client_id, client_secret=service.secret
        )
    refused(response, "invalid_client", 401)


@everywhere
def test_secret_when_it_is_changed(story, service, path):
    assert ask(story, path, service.basic()).status_code == 200
    old = service.basic()
    service.row.client_secret = service.secret = "another-secret-of-good-length-93b1"
    service.row.save()
    refused(ask(story, path, old), "invalid_client", 401)
    assert ask(story, path, service.basic()).status_code == 200


@everywhere
@pytest.mark.parametrize("method", ["basic", "post", "none"])
def test_empty_secret_when_a_row_was_stored_with_one(story, service, path, method):
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


# Clients that act for themselves: RFC 6749 section 4.4
@pytest.mark.conformance("CC-01", "CA-08")
@pytest.mark.parametrize("policy", ["not allowed", "allowed by mistake"])
def test_public_client_when_it_asks(story, world, policy):
    if policy == "allowed by mistake":
        world.mobile.change(grants=["client_credentials"])
    with refusal_recorded("unauthorized_client", client_id_value="mobile"):
        response = story.client_credentials(world.mobile)
    refused(response, "unauthorized_client")


@pytest.mark.conformance("CC-01")
def test_confidential_client_when_it_asks(story):
    with recorded("delegation.created", "token.issued"):
        response = story.client_credentials()
    assert response.status_code == 200
    never_stored(response)
    assert story.is_active(response.json()["access_token"])


@pytest.mark.conformance("CC-02")
def test_refresh_token_when_a_client_acts_for_itself(story, world):
    world.cron.change(grants=["client_credentials", "refresh_token"])
    answer = story.client_credentials().json()
    assert set(answer) == {"access_token", "token_type", "expires_in", "scope"}
    assert not RefreshToken.objects.exists()


@pytest.mark.conformance("CC-03", "AT-10")
def test_subject_when_a_client_acts_for_itself(story):
    answer = story.client_credentials(scope="read:metrics").json()
    claims = claims_of(answer["access_token"])
    assert claims["sub"] == "client:cron"
    assert claims["client_id"] == "cron"
    assert claims["aud"] == SERVICE_A
    assert claims["scope"] == answer["scope"] == "read:metrics"
    # There was nobody who signed in.
    assert not {"auth_time", "acr"} & claims.keys()


@pytest.mark.conformance("CC-05")
@pytest.mark.parametrize(
    "scope",
    [
        "read:profile", "read:metrics delete:alerts", "unknown", "READ:METRICS",
        "read:metrics\twrite:alerts", "*",
    ],
)  # fmt: skip
def test_scope_when_it_is_more_than_the_client_may_have(story, scope):
    refuses("invalid_scope", lambda: story.client_credentials(scope=scope), client_id_value="cron")


@pytest.mark.parametrize(
    "resource", [SERVICE_B, "https://unknown.example.com", f"{SERVICE_A}#part", "relative", "//x"]
)
def test_resource_when_it_is_not_for_this_client(story, resource):
    refuses("invalid_target", lambda: story.client_credentials(resource=resource))


@pytest.mark.conformance("CC-06")
def test_delegation_when_the_terms_are_the_same(story):
    first = story.client_credentials(scope="read:metrics write:alerts").json()
    with recorded("token.issued"):
        second = story.client_credentials(scope="write:alerts read:metrics").json()
    with recorded("delegation.created", "token.issued"):
        third = story.client_credentials(scope="read:metrics").json()
    assert delegation_of(first) == delegation_of(second) != delegation_of(third)
    row = delegation_of(first)
    assert row.grant_type == "client_credentials"
    assert row.subject == "client:cron"
    assert row.delegate_client_id == "cron"
    assert row.consent is None
    assert row.parent is None


@pytest.mark.conformance("CC-06")
def test_delegation_when_an_operator_revokes_it(story):
    token = story.client_credentials().json()["access_token"]
    assert story.is_active(token)
    with recorded("delegation.revoked"):
        revocation.subtree(
            Delegation.objects.get(), RequestContext("user:7"), reason="stopped by operator"
        )
    assert story.introspect(token).json() == {"active": False}
    for scope in (None, "read:metrics"):
        with refusal_recorded("unauthorized_client", client_id_value="cron"):
            refused(story.client_credentials(scope=scope), "unauthorized_client")
