"""Attacks on client authentication: group C of the threat list."""

import base64
from types import SimpleNamespace
from urllib.parse import quote_plus

import pytest
from django.test import override_settings

from delegation_app.models import AuditEvent
from delegation_app.services.clients import throttle
from tests.support.answers import nothing_stored, recorded, refusal_recorded, refused
from tests.support.world import VERIFIER

PATHS = ("/oauth/token", "/oauth/revoke", "/oauth/introspect")
FEW = override_settings(
    DELEGATION={"ISSUER": "https://as.example.com", "FAILED_AUTHENTICATIONS_PER_MINUTE": 3}
)


def basic(client_id, secret):
    pair = f"{quote_plus(client_id)}:{quote_plus(secret)}".encode()
    return "Basic " + base64.b64encode(pair).decode()


def test_c1_secret_when_left_out_then_no_endpoint_and_no_grant_serves(story, world):
    code, tokens = story.code(), story.tokens()
    cron = story.client_credentials().json()["access_token"]
    requests = [
        ("/oauth/token", "web", {"grant_type": "authorization_code", "code": code,
                                 "code_verifier": VERIFIER}),
        ("/oauth/token", "web", {"grant_type": "refresh_token",
                                 "refresh_token": tokens["refresh_token"]}),
        ("/oauth/token", "cron", {"grant_type": "client_credentials"}),
        ("/oauth/revoke", "web", {"token": tokens["refresh_token"]}),
        ("/oauth/revoke", "cron", {"token": cron}),
        ("/oauth/introspect", "web", {"token": tokens["access_token"]}),
        ("/oauth/introspect", "service-a", {"token": tokens["access_token"]}),
        ("/oauth/introspect", "operator-tool", {"token": tokens["access_token"]}),
    ]  # fmt: skip
    for path, client_id, data in requests:
        for credentials in ({"client_id": client_id}, {}):
            with refusal_recorded("invalid_client"):
                refused(story.post(path, {**data, **credentials}), "invalid_client", 401)
        with refusal_recorded("invalid_client"):
            response = story.post(path, data, HTTP_AUTHORIZATION=basic(client_id, ""))
        refused(response, "invalid_client", 401)


REGISTERED = ("client_secret_basic", "client_secret_post", "", "none")
SECRETS = ("right", "wrong", "empty", "missing")


@pytest.mark.parametrize("registered", REGISTERED)
@pytest.mark.parametrize("used", ["basic", "post", "both"])
@pytest.mark.parametrize("kind", SECRETS)
def test_c2_methods_when_combined_with_secrets_then_only_the_exact_pair_passes(
    story, world, registered, used, kind
):
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


@pytest.mark.parametrize("used", ["basic", "post", "none"])
@pytest.mark.parametrize("secret", ["anything", ""])
def test_c2_public_client_when_it_uses_a_method_then_only_none_passes(story, world, used, secret):
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


def test_c4_c5_assertion_when_sent_then_it_is_never_a_way_in(story, world):
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
def test_c7_client_when_unknown_or_known_then_answers_are_the_same(story, world, path):
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
def test_c8_attempts_when_the_address_is_forged_then_they_are_counted_all_the_same(
    story, world, path, monkeypatch
):
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


def test_c8_refusal_of_a_grant_when_repeated_then_it_stays_invalid_grant(story, world):
    with FEW:
        for _ in range(8):
            refused(story.refresh("unknown"), "invalid_grant")
            refused(story.redeem("unknown"), "invalid_grant")
        assert story.tokens()["access_token"]


def test_c8_attempts_when_client_ids_could_be_confused_then_each_has_its_own_count(story, world):
    data = {"grant_type": "client_credentials"}
    with FEW:
        for _ in range(4):
            story.post("/oauth/token", data, HTTP_AUTHORIZATION=basic("cron:127.0.0.1", "x"))
        assert story.client_credentials().status_code == 200


@pytest.mark.parametrize("path", PATHS)
def test_c13_basic_when_the_secret_holds_every_printable_character_then_it_round_trips(
    story, world, path
):
    app = world.service_a_client
    for secret in (
        "".join(map(chr, range(0x20, 0x7F))),
        "a:b:c:",
        ":leading",
        "100%",
        "%2B+%20",
        "ключ-鍵-🔑",
        "tab\tand\nbreak",
    ):
        app.row.client_secret = app.secret = secret
        app.row.save()
        data = {"grant_type": "client_credentials", "token": "x"}
        assert story.post(path, data, app).status_code == 200, secret
        in_the_body = {**data, "client_id": app.client_id, "client_secret": secret}
        assert story.post(path, in_the_body).status_code == 200, secret


def test_c13_basic_when_the_client_id_has_a_colon_then_the_first_colon_still_divides(story, world):
    world.cron.row.client_id = "urn:example:cron"
    world.cron.row.save()
    assert story.client_credentials().status_code == 200


def test_client_when_its_id_is_another_case_then_it_is_another_client(story, world):
    for client_id in ("CRON", "Cron", "cron ", " cron", "cro\u0578", "cron\u200b"):
        with nothing_stored():
            response = story.post(
                "/oauth/token",
                {"grant_type": "client_credentials"},
                HTTP_AUTHORIZATION=basic(client_id, world.cron.secret),
            )
        refused(response, "invalid_client", 401)
