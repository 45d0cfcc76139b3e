"""Attacks on client authentication: group C of the threat list."""

import base64
from types import SimpleNamespace
from urllib.parse import quote_plus

import pytest
from django.test import override_settings

from delegation_app.models import AuditEvent
from delegation_app.services.clients import throttle
from tests.support.answers import nothing_stored, recorded, refused

PATHS = ("/oauth/token", "/oauth/revoke", "/oauth/introspect")
FEW = override_settings(
    DELEGATION={"ISSUER": "https://as.example.com", "FAILED_AUTHENTICATIONS_PER_MINUTE": 3}
)


def basic(client_id, secret):
    pair = f"{quote_plus(client_id)}:{quote_plus(secret)}".encode()
    return "Basic " + base64.b64encode(pair).decode()


REGISTERED = ("client_secret_basic", "client_secret_post", "", "none")
SECRETS = ("right", "wrong", "empty", "missing")


@pytest.mark.conformance("CA-09")
@pytest.mark.parametrize("registered", REGISTERED)
@pytest.mark.parametrize("used", ["basic", "post", "both"])
@pytest.mark.parametrize("kind", SECRETS)
def test_c2_methods_when_combined_with_secrets(story, world, registered, used, kind):
    app = world.cron
    app.change(token_endpoint_auth_method=registered)
    secret = {"right": app.secret, "wrong": "wrong", "empty": "", "missing": None}[kind]
    data, headers = {"grant_type": "client_credentials"}, {}
    if used in {"basic", "both"}:
        pair = "cron" if secret is None else f"cron:{quote_plus(secret)}"
        headers["HTTP_AUTHORIZATION"] = "Basic " + base64.b64encode(pair.encode()).decode()
    if used in {"post", "both"}:
        data |= {"client_id": "cron", "client_secret": secret}
    response = story.post("/oauth/token", data, **headers)
    fits = {"client_secret_basic": {"basic"}, "client_secret_post": {"post"}, "none": set()}
    if used == "both" and kind in {"right", "wrong"}:
        refused(response, "invalid_request")
    elif kind == "right" and used in fits.get(registered, {"basic", "post"}):
        assert response.status_code == 200
    else:
        refused(response, "invalid_client", 401)


@pytest.mark.conformance("CA-09")
@pytest.mark.parametrize("used", ["basic", "post", "none"])
@pytest.mark.parametrize("secret", ["anything", ""])
def test_c2_public_client_when_it_uses_a_method(story, world, used, secret):
    tokens = story.tokens(world.mobile)
    data = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    if used == "basic":
        response = story.post("/oauth/token", data, HTTP_AUTHORIZATION=basic("mobile", secret))
    else:
        data |= {"client_id": "mobile", "client_secret": secret if used == "post" else None}
        response = story.post("/oauth/token", data)
    # An empty secret is an absent one (RFC 6749 sections 2.3.1 and 3.2).
    if used == "none" or not secret:
        assert response.status_code == 200
    else:
        refused(response, "invalid_client", 401)


def test_c4_c5_assertion_when_sent(story, world):
    tokens = story.tokens()
    for assertion in (tokens["access_token"], "a.b.c", "", "eyJhbGciOiJub25lIn0.e30."):
        for path in PATHS:
            with nothing_stored(), recorded("request.refused"):
                response = story.post(
                    path,
                    {
                        "grant_type": "client_credentials",
                        "token": tokens["access_token"],
                        "client_id": "cron",
                        "client_assertion": assertion,
                        "client_assertion_type": (
                            "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
                        ),
                    },
                )
            refused(response, "invalid_client", 401)


@pytest.mark.parametrize("path", PATHS)
def test_c7_client_when_unknown_or_known(story, world, path):
    data = {"grant_type": "client_credentials", "token": "x"}

    def answer(client_id, secret):
        response = story.post(path, data, HTTP_AUTHORIZATION=basic(client_id, secret))
        headers = {name: value for name, value in response.items() if name != "X-Request-Id"}
        return response.status_code, response.content, headers

    with FEW:
        unknown = [answer("nobody", f"wrong{attempt}") for attempt in range(5)]
        known = [answer("cron", f"wrong{attempt}") for attempt in range(5)]
    assert [status for status, _, _ in unknown] == [401] * 3 + [429] * 2
    # Not even the number of attempts tells them apart. Retry-After counts down meanwhile.
    for _, _, headers in (*unknown, *known):
        headers.pop("Retry-After", None)
    assert unknown == known


@pytest.mark.parametrize("path", PATHS)
def test_c8_attempts_when_the_address_is_forged(story, world, path, monkeypatch):
    # It is a minute that is counted, and a busy machine may need longer
    monkeypatch.setattr(throttle, "time", SimpleNamespace(time=lambda: 1_800_000_000.0))
    data = {"grant_type": "client_credentials", "token": "x"}
    wrong = basic(world.service_a_client.client_id, "wrong")
    peer = "8.8.8.8"

    def guess(number):
        forged = f"10.0.0.{number}"
        return story.post(
            path,
            data,
            HTTP_AUTHORIZATION=wrong,
            REMOTE_ADDR=peer,
            HTTP_X_FORWARDED_FOR=forged,
            HTTP_FORWARDED=f"for={forged}",
            HTTP_X_REAL_IP=forged,
            HTTP_CLIENT_IP=forged,
        )

    with FEW:
        for number in range(3):
            refused(guess(number), "invalid_client", 401)
        for number in range(3, 6):
            refused(guess(number), "temporarily_unavailable", 429)
        # Another address is not punished for it, nor another client.
        elsewhere = story.post(path, data, world.service_a_client, REMOTE_ADDR="192.0.2.7")
        assert elsewhere.status_code == 200
    event = AuditEvent.objects.filter(event="request.refused").last()
    # Who forges an address has none, and its peer is on record
    assert event.ip_address is None
    assert event.details["via"].startswith("8.8.8.8 ")


def test_c8_refusal_of_a_grant_when_repeated(story, world):
    with FEW:
        for _ in range(8):
            refused(story.refresh("unknown"), "invalid_grant")
            refused(story.redeem("unknown"), "invalid_grant")
        assert story.tokens()["access_token"]


@pytest.mark.conformance("CA-01")
@pytest.mark.parametrize("path", PATHS)
def test_c13_basic_when_the_secret_holds_every_printable_character(story, world, path):
    app = world.service_a_client
    for secret in (
        "".join(map(chr, range(0x20, 0x7F))), "a:b:c:", ":leading", "100%", "%2B+%20", "ключ-鍵-🔑",
        "tab\tand\nbreak",
    ):  # fmt: skip
        app.row.client_secret = app.secret = secret
        app.row.save()
        data = {"grant_type": "client_credentials", "token": "x"}
        assert story.post(path, data, app).status_code == 200, secret
        in_the_body = {**data, "client_id": app.client_id, "client_secret": secret}
        assert story.post(path, in_the_body).status_code == 200, secret


def test_c13_basic_when_the_client_id_has_a_colon(story, world):
    world.cron.row.client_id = "urn:example:cron"
    world.cron.row.save()
    assert story.client_credentials().status_code == 200


def test_client_when_its_id_is_another_case(story, world):
    for client_id in ("CRON", "Cron", "cron ", " cron", "cro\u0578", "cron\u200b"):
        with nothing_stored():
            response = story.post(
                "/oauth/token",
                {"grant_type": "client_credentials"},
                HTTP_AUTHORIZATION=basic(client_id, world.cron.secret),
            )
        refused(response, "invalid_client", 401)
