"""What all back-channel endpoints have in common: RFC 6749 sections 3.2 and 5."""

import logging
import re
import sqlite3
from contextlib import closing

import pytest
from django.db import connection

from delegation_app.models import AccessToken, AuthorizationCode, RefreshToken, SigningKey
from delegation_app.protocol import secrets
from tests.support import SecureClient
from tests.support.answers import (
    DESCRIPTION,
    never_stored,
    nothing_stored,
    recorded,
    refusal_recorded,
    refused,
)
from tests.support.world import VERIFIER, redirected

pytestmark = pytest.mark.compat

BACK_CHANNEL = ("/oauth/token", "/oauth/revoke", "/oauth/introspect")
METADATA = "/.well-known/oauth-authorization-server"
everywhere = pytest.mark.parametrize("path", BACK_CHANNEL)


def good(path, story):
    """The form of a request that is answered with 200 to service A's client."""
    if path not in {"/oauth/revoke", "/oauth/introspect"}:
        return {"grant_type": "client_credentials"}
    issued = story.client_credentials(story.world.service_a_client)
    return {"token": issued.json()["access_token"]}


@pytest.mark.conformance("GEN-01")
def test_metadata_when_read(client, db):
    document = client.get(METADATA).json()
    urls = [v for k, v in document.items() if k.endswith(("_endpoint", "_uri")) or k == "issuer"]
    assert len(urls) >= 6
    for url in urls:
        assert url.startswith("https://as.example.com")
        assert "#" not in url


@everywhere
@pytest.mark.conformance("GEN-01")
def test_back_channel_when_called_over_plain_http(story, world, path):
    data = good(path, story)
    story.wire = SecureClient(https=False)
    with nothing_stored(), recorded():
        response = story.post(path, data, world.service_a_client)
    refused(response, "invalid_request")


@pytest.mark.conformance("GEN-01")
def test_authorize_when_called_over_plain_http(story):
    story.browser.https = False
    with nothing_stored():
        response = story.authorize()
    assert response.status_code == 400
    assert "Location" not in response


@everywhere
@pytest.mark.conformance("GEN-02", "OT-10")
def test_answer_when_it_is_a_success(story, world, path):
    response = story.post(path, good(path, story), world.service_a_client)
    assert response.status_code == 200
    never_stored(response)


@everywhere
@pytest.mark.conformance("GEN-03")
def test_back_channel_when_there_is_no_body(client, db, path):
    with nothing_stored(), recorded():
        response = client.post(path)
    refused(response, "invalid_request")
    assert response.json()["error"].isascii()


@pytest.mark.conformance("GEN-04")
def test_resource_when_it_is_repeated(story, world):
    world.cron.policy.audiences.add(world.service_b)
    both = [world.service_a.identifier, world.service_b.identifier]
    response = story.client_credentials(resource=both)
    token = response.json()["access_token"]
    assert story.introspect(token).json()["aud"] == both


@everywhere
@pytest.mark.conformance("GEN-05")
def test_parameter_when_it_is_unknown(story, world, path):
    data = good(path, story)
    response = story.post(path, {**data, "foo": "bar", "act": "{}"}, world.service_a_client)
    assert response.status_code == 200
    if path == "/oauth/introspect":
        assert response.json()["active"] is True


HOSTILE = ('"', "\\", "é", "\r\nSet-Cookie: a=b", "\x1b[31m", "\u2028", "<script>", "a" * 5000)


@pytest.mark.conformance("GEN-07")
@pytest.mark.parametrize("value", HOSTILE)
def test_error_when_the_input_is_hostile(story, world, value):
    app = world.service_a_client
    for grant_type in ("authorization_code", "refresh_token", "client_credentials", value):
        for name in ("scope", "resource", "code", "refresh_token", "redirect_uri"):
            data = {"grant_type": grant_type, "code": "x", "code_verifier": VERIFIER, name: value}
            response = story.token(app, **data)
            assert "Set-Cookie" not in response
            assert value not in response.json().get("error_description", "")
            if response.status_code != 200:
                refused(response, response.json()["error"])


@pytest.mark.conformance("GEN-07")
@pytest.mark.parametrize("value", HOSTILE)
def test_redirected_error_when_the_input_is_hostile(story, value):
    response = story.authorize(scope=value, state=value)
    answer = redirected(response)
    if len(value) < 2048:
        assert answer["error"] == "invalid_scope"
    assert answer["state"] == value
    assert DESCRIPTION.fullmatch(answer["error_description"])
    assert "Set-Cookie" not in response
    assert not re.search(r"[\x00-\x20\x7f-\uffff]", response["Location"])


@pytest.mark.parametrize("path", [*BACK_CHANNEL, "/oauth/exchange", "/oauth/device_authorization"])
@pytest.mark.conformance("GEN-08", "RV-11", "IN-14")
@pytest.mark.parametrize("method", ["get", "head", "put", "patch", "delete", "trace"])
def test_back_channel_when_the_method_is_not_post(story, world, path, method):
    data = good(path, story)
    query = "&".join(f"{k}={v}" for k, v in data.items())
    with nothing_stored(), recorded():
        response = getattr(story.wire, method)(
            f"{path}?{query}", HTTP_AUTHORIZATION=world.service_a_client.basic()
        )
    assert response.status_code == 405
    assert "POST" in response["Allow"].split(", ")
    if method != "head":
        assert response.json()["error"] == "invalid_request"


@everywhere
@pytest.mark.conformance("RV-11")
def test_back_channel_when_a_callback_is_named(story, world, path):
    data = {**good(path, story), "callback": "steal"}
    response = story.post(path, data, world.service_a_client)
    assert response.status_code == 200
    assert b"steal" not in response.content


@everywhere
@pytest.mark.conformance("GEN-10")
def test_credentials_when_they_stand_in_the_url(story, world, path):
    app, data = world.service_a_client, good(path, story)
    with refusal_recorded("invalid_client", client_id_value=""):
        response = story.post(f"{path}?client_id={app.client_id}&client_secret={app.secret}", data)
    refused(response, "invalid_client", 401)


@pytest.mark.conformance("GEN-10")
@pytest.mark.parametrize("path", ["/oauth/revoke", "/oauth/introspect"])
def test_token_when_it_stands_in_the_url(story, path):
    token = story.tokens()["refresh_token"]
    with refusal_recorded("invalid_request"):
        response = story.post(f"{path}?token={token}", {"foo": "bar"}, story.world.web)
    refused(response, "invalid_request")


@pytest.mark.conformance("GEN-11", "OT-11")
@pytest.mark.parametrize("method", ["get", "options", "post"])
def test_authorize_when_another_origin_asks(story, method):
    response = getattr(story.browser, method)(
        "/oauth/authorize", headers={"origin": "https://evil.example.com"}
    )
    assert not [name for name in response.headers if name.startswith("Access-Control-")]


@pytest.mark.conformance("GEN-11")
@pytest.mark.parametrize("path", [METADATA, "/oauth/jwks"])
def test_document_when_another_origin_asks(client, db, path):
    response = client.get(path, headers={"origin": "https://spa.example.com"})
    assert response.status_code == 200
    assert response["Access-Control-Allow-Origin"] == "*"


@everywhere
@pytest.mark.conformance("GEN-11")
def test_back_channel_when_another_origin_asks(story, world, path):
    preflight = story.wire.options(path, headers={"origin": "https://spa.example.com"})
    assert preflight.status_code == 204
    assert "POST" in preflight["Access-Control-Allow-Methods"]
    assert "Authorization" in preflight["Access-Control-Allow-Headers"]
    answer = story.post(path, good(path, story), world.service_a_client)
    for response in (preflight, answer):
        assert response["Access-Control-Allow-Origin"] == "*"
        assert "Access-Control-Allow-Credentials" not in response


@pytest.mark.conformance("GEN-12")
def test_secrets_when_many_are_issued(story, world):
    codes, refresh_tokens, ids = [], [], []
    for _ in range(12):
        codes.append(story.code())
        tokens = story.redeem(codes[-1]).json()
        refresh_tokens.append(tokens["refresh_token"])
        refresh_tokens.append(story.refresh(tokens["refresh_token"]).json()["refresh_token"])
        ids.append(story.introspect(tokens["access_token"]).json()["jti"])
    codes += [secrets.new_secret() for _ in range(1000)]
    ids += [secrets.new_token_id() for _ in range(1000)]
    for values, length in ((codes, 43), (refresh_tokens, 43), (ids, 27)):
        assert len(set(values)) == len(values)
        assert all(re.fullmatch(f"[A-Za-z0-9_-]{{{length}}}", value) for value in values)
    # No place in them always has the same character, so there is no common structure; the last
    # carries fewer bits than the others.
    assert all(len({value[place] for value in codes}) > 40 for place in range(42))
    assert all(len({value[place] for value in ids}) > 40 for place in range(26))


@pytest.mark.conformance("GEN-13")
def test_stored_values_when_they_are_presented(story, world):
    world.service_a.token_format = "opaque"
    world.service_a.save()
    code = story.code()
    row = AuthorizationCode.objects.get()
    for value in (row.digest, row.code_challenge):
        refused(story.redeem(value), "invalid_grant")
    tokens = story.redeem(code).json()
    refused(story.refresh(RefreshToken.objects.get().digest), "invalid_grant")
    access = AccessToken.objects.get()
    for value in (access.digest, access.jti, RefreshToken.objects.get().digest):
        assert story.introspect(value, world.operator_tool).json() == {"active": False}
    assert story.is_active(tokens["access_token"])


@pytest.mark.sqlite
@pytest.mark.django_db(transaction=True)
@pytest.mark.conformance("GEN-13")
def test_database_when_it_is_dumped(story, world):
    code = story.code()
    first = story.redeem(code).json()
    second = story.refresh(first["refresh_token"]).json()
    with closing(sqlite3.connect(connection.settings_dict["NAME"])) as database:
        dump = "\n".join(database.iterdump())
    assert "web.example.com" in dump
    told = [first["refresh_token"], second["refresh_token"], first["access_token"], code]
    for secret in (*told, VERIFIER, world.web.secret):
        assert secret not in dump
    assert b"PRIVATE KEY" not in bytes(SigningKey.objects.first().encrypted_private_key)


@everywhere
@pytest.mark.conformance("GEN-15")
def test_request_id_when_an_answer_is_given(client, db, path, caplog):
    caplog.set_level(logging.INFO, logger="delegation_app")
    ours = client.post(path)["X-Request-Id"]
    assert re.fullmatch(r"[0-9a-f]{32}", ours)
    named = client.post(path, headers={"x-request-id": "from-the-proxy-1"})["X-Request-Id"]
    assert re.fullmatch(r"[0-9a-f]{32}", named)
    forged = client.post(path, headers={"x-request-id": "a b\tc <forged>"})["X-Request-Id"]
    assert re.fullmatch(r"[0-9a-f]{32}", forged)
    lines = [r.getMessage() for r in caplog.records if r.name == "delegation_app"]
    for request_id, line in zip((ours, named, forged), lines, strict=True):
        assert request_id in line
    # The caller's own id stands beside ours, so that the two logs can be compared
    assert ["from-the-proxy-1" in line for line in lines] == [False, True, False]
    assert "forged" not in caplog.text
