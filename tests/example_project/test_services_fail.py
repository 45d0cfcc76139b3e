"""What a service answers when the next one, or the way there, is broken. It never says too much."""

import json

import pytest
import requests

from example_project.api import downstream
from example_project.api.services import SERVICE_A
from tests.example_project.wire import METADATA

REPORT, EXCHANGE, AT_B, AT_C = (
    "/api/report",
    "/oauth/token",
    "/service-b/report",
    "/service-c/report",
)


@pytest.fixture
def token(alice, apps):
    return alice.tokens(apps["web"])["access_token"]


@pytest.fixture
def ask(client, wire, token):
    def report():
        return client.get(REPORT, HTTP_AUTHORIZATION=f"Bearer {token}")

    return report


def as_json(**members):
    return json.dumps(members).encode()


@pytest.mark.parametrize(
    ("path", "canned", "step", "error"),
    [
        (AT_B, requests.ConnectTimeout("slow"), "call", "no_answer"),
        (AT_B, requests.ConnectionError("refused"), "call", "no_answer"),
        (EXCHANGE, requests.ReadTimeout("slow"), "exchange", "no_answer"),
        (AT_B, (200, b"<html>"), "call", "unusable_answer"),
        (AT_B, (200, b"[]"), "call", "unusable_answer"),
        (EXCHANGE, (200, b"{}"), "exchange", "unusable_answer"),
        (EXCHANGE, (200, b'{"access_token": 1}'), "exchange", "unusable_answer"),
        (EXCHANGE, (503, as_json(error="temporarily_unavailable")), "exchange",
         "temporarily_unavailable"),
        (EXCHANGE, (401, as_json(error="invalid_client")), "exchange", "invalid_client"),
        (EXCHANGE, (429, as_json(error="temporarily_unavailable")), "exchange",
         "temporarily_unavailable"),
        (EXCHANGE, (307, b"", {"Location": "https://evil.example/"}), "exchange",
         "unusable_answer"),
        (METADATA, (404, b""), "exchange", "unusable_answer"),
        (METADATA, requests.ReadTimeout("slow"), "exchange", "no_answer"),
        (AT_B, (302, b"", {"Location": "https://evil.example/"}), "call", None),
        (AT_B, (500, b"Traceback"), "call", None),
        (AT_B, (502, as_json(error="something_else")), "call", "something_else"),
    ],
)  # fmt: skip
def test_report_when_something_is_broken_then_502_says_where(  # noqa: PLR0917 - two fixtures
    ask, wire, path, canned, step, error
):
    wire.canned[path] = canned
    answer = ask()
    assert answer.status_code == 502
    told = answer.json()
    assert told["error"] == "onward_failed"
    assert told["hop"] == "service_a -> service_b"
    assert told["step"] == step
    assert told["reason"].get("error") == error
    assert "Traceback" not in answer.content.decode()
    assert answer["Cache-Control"] == "no-store"
    assert not any("evil" in request.url for request, _timeout in wire.sent)


@pytest.mark.parametrize("status", [401, 403])
def test_report_when_the_next_refuses_then_403(ask, wire, status):
    wire.canned[AT_B] = (status, as_json(error="insufficient_scope", required=["x"]))
    answer = ask()
    assert answer.status_code == 403
    assert answer.json()["error"] == "onward_refused"
    assert answer.json()["status"] == status
    assert answer.json()["reason"] == {"error": "insufficient_scope"}


def test_report_when_the_last_is_broken_then_the_first_names_that_hop(ask, wire):
    wire.canned[AT_C] = requests.ReadTimeout("slow")
    answer = ask()
    assert answer.status_code == 502
    assert answer.json()["hop"] == "service_b -> service_c"


def test_report_when_others_repeat_a_token_then_nobody_is_told(ask, wire, token, caplog):
    def echo(request):
        said = request.headers["Authorization"]
        reason = {"error": said, "error_description": [said]}
        return 400, as_json(error=said, error_description=said, reason=reason, hop=said)

    caplog.set_level("DEBUG")
    for path in (EXCHANGE, AT_B):
        wire.canned = {path: echo}
        answer = ask()
        for secret in (token, *wire.secrets()):
            assert secret not in answer.content.decode()
            assert secret not in caplog.text


def test_report_when_what_is_passed_on_is_odd_then_only_plain_values_are_left(ask, wire):
    wire.canned[AT_B] = (
        403,
        as_json(error="onward_refused", hop=["x"], step={"a": "b"}, more="x", reason="y" * 40),
    )
    assert ask().json() == {
        "error": "onward_refused",
        "reason": "…",
    }


@pytest.mark.parametrize("text", [None, "{", '{"users": {}, "clients": {}}'])
def test_report_when_the_service_has_no_secret_then_502_says_what_to_do(ask, settings, text):
    settings.DEMO_CREDENTIALS.unlink()
    if text is not None:
        settings.DEMO_CREDENTIALS.write_text(text)
    answer = ask()
    assert answer.status_code == 502
    assert answer.json()["reason"] == {
        "error": "no_credentials",
        "error_description": "It has no secret: run manage.py seed_demo.",
    }


def test_report_when_the_secret_is_wrong_then_502(ask, apps, demo_world, settings):
    known = json.loads(settings.DEMO_CREDENTIALS.read_text())
    known["clients"]["service_a"] = "another one"
    settings.DEMO_CREDENTIALS.write_text(json.dumps(known))
    answer = ask()
    assert answer.status_code == 502
    assert answer.json()["reason"]["error"] == "invalid_client"


def test_services_when_listed_then_the_last_asks_nobody():
    assert SERVICE_A.next.next.next is None
    last = SERVICE_A.next.next
    assert downstream.report_of_next(last, None, "read:metrics") is None
