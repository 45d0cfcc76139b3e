"""Three services: each takes its own tokens only, and passes authority on to the next one."""

import base64
import re
import shlex
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.urls import reverse
from rest_framework.test import APIRequestFactory

from delegation_app.models import ClientPolicy, Delegation
from delegation_app.protocol.constraints import Constraints
from delegation_app.services import audit
from delegation_app.services.delegations import revocation
from example_project.api.same_process import authentication_of
from example_project.api.services import SERVICE_A
from example_project.api.views import ReportView
from example_project.demo.browser import TIMEOUT

SERVICES = ("service_a", "service_b", "service_c")
REPORT = "/api/report"
ACTOR_A = {"sub": "client:service_a", "client_id": "service_a"}
ACTOR_B = {"sub": "client:service_b", "client_id": "service_b"}


def headers(token):
    return {"HTTP_AUTHORIZATION": f"Bearer {token}"}


def get(client, name, token):
    return client.get(reverse(name), **headers(token))


def test_exchange_of_the_client_page_works(client, alice, apps, demo_world):
    page = (Path(__file__).parents[2] / "docs/client.md").read_text()
    [command] = re.findall(r"```sh\n(curl .*?)```", page, flags=re.DOTALL)
    secret = demo_world["clients"]["service_a"]["client_secret"]
    words = shlex.split(command.replace("\\\n", " ").replace("$SECRET", secret))
    options = list(pairwise(words))
    body = "&".join(value for option, value in options if option == "-d")
    [credentials] = [value for option, value in options if option == "-u"]
    answer = client.post(
        urlsplit(words[1]).path,
        body.replace("$TOKEN", alice.tokens(apps["web"])["access_token"]),
        content_type="application/x-www-form-urlencoded",
        HTTP_AUTHORIZATION=f"Basic {base64.b64encode(credentials.encode()).decode()}",
    )
    assert answer.status_code == 200, answer.content
    assert get(client, "service_b:metrics", answer.json()["access_token"]).status_code == 200


def reports(answer):
    found, report = [], answer.json()
    while report is not None:
        found.append(report)
        report = report["next"]
    return found


# Each for itself


@pytest.mark.conformance("RS-05")
def test_service_when_token_is_for_another_one_then_401_in_its_own_name(client, handed):
    for taken, token in zip(SERVICES, handed.tokens, strict=True):
        for name in SERVICES:
            for view in ("metrics", "report") if name != taken else ("metrics",):
                answer = get(client, f"{name}:{view}", token)
                assert answer.status_code == (200 if name == taken else 401)
                if name != taken:
                    realm = name.replace("_", "-")
                    challenge = f'Bearer realm="{realm}", error="invalid_token"'
                    assert answer["WWW-Authenticate"].startswith(challenge)


def test_service_when_scope_was_handed_on_then_it_may_write(client, alice, apps, demo_world):
    token = alice.tokens(apps["web"])["access_token"]
    audience = demo_world["audiences"]["service_b"]
    token = alice.exchange(token, apps["service_a"], audience=audience).json()["access_token"]
    answer = client.post(
        reverse("service_b:alerts"), "{}", content_type="application/json", **headers(token)
    )
    assert answer.status_code == 201
    assert answer.json()["authority"]["actor"] == ACTOR_A


@pytest.mark.conformance("BR-07")
def test_authority_when_token_was_exchanged_then_it_says_who_acts_and_who_did(client, handed):
    told = [
        get(client, f"{name}:metrics", token).json()["authority"]
        for name, token in zip(SERVICES, handed.tokens, strict=True)
    ]
    assert [each["actor"] for each in told] == [None, ACTOR_A, ACTOR_B]
    assert [each["history"] for each in told] == [[], [], [ACTOR_A]]
    assert len({each["subject"] for each in told}) == 1
    assert [each["client_id"] for each in told] == ["web", "service_a", "service_b"]
    rows = [str(row.public_id) for row in handed.rows]
    assert [each["delegation_id"] for each in told] == rows


def test_report_when_it_belongs_to_no_service_then_it_asks_nobody(handed):
    request = APIRequestFactory().get("/", **headers(handed.tokens[0]))
    view = ReportView.as_view(authentication_classes=[authentication_of(SERVICE_A)])
    with pytest.raises(ImproperlyConfigured, match="ReportView belongs to no service"):
        view(request)


# Within limits


@pytest.mark.parametrize(
    "limit",
    [
        {"type": "resource_path", "rules": [{"methods": ["GET"], "prefixes": ["/api/metrics"]}]},
        {"type": "ip_range", "networks": ["127.0.0.0/8"]},
    ],
    ids=lambda limit: limit["type"],
)
def test_service_when_a_constraint_refuses_the_call_then_403_says_so(client, alice, apps, limit):
    limits = Constraints.parse([limit])
    ClientPolicy.objects.filter(application=apps["web"].row).update(constraints=limits)
    token = alice.tokens(apps["web"])["access_token"]
    assert get(client, "service_a:metrics", token).status_code == 200
    answer = client.post(reverse("service_a:alerts"), **headers(token), REMOTE_ADDR="192.0.2.1")
    assert answer.status_code == 403
    assert answer.json()["error"] == "insufficient_scope"
    description = answer.json()["error_description"]
    assert description.startswith("It may not be used")
    assert answer["WWW-Authenticate"] == (
        f'Bearer realm="service-a", error="insufficient_scope", error_description="{description}"'
    )


# One after the other


@pytest.fixture
def token(alice, apps):
    return alice.tokens(apps["web"])["access_token"]


@pytest.mark.conformance("TX-01")
def test_report_when_asked_then_each_service_acts_for_the_same_person(client, wire, token):
    answer = client.get(REPORT, **headers(token))
    assert answer.status_code == 200
    assert answer["Cache-Control"] == "no-store"
    found = reports(answer)
    assert [report["service"] for report in found] == list(SERVICES)
    told = [report["authority"] for report in found]
    assert len({each["subject"] for each in told}) == 1
    assert [each["actor"] for each in told] == [None, ACTOR_A, ACTOR_B]
    assert told[2]["history"] == [ACTOR_A]
    # No more than the next one needs
    assert [each["scopes"] for each in told[1:]] == [["read:metrics"], ["read:metrics"]]
    tree = Delegation.objects.order_by("depth")
    assert [each["delegation_id"] for each in told] == [str(row.public_id) for row in tree]
    assert wire.paths() == [
        "/oauth/token",
        "/service-b/report",
        "/oauth/token",
        "/service-c/report",
    ]


def test_report_when_asked_again_then_delegations_and_tokens_are_the_same(client, wire, token):
    first, *further = (reports(client.get(REPORT, **headers(token))) for _ in range(3))
    ids = [each["authority"]["delegation_id"] for each in first]
    for found in further:
        assert [each["authority"]["delegation_id"] for each in found] == ids
    assert Delegation.objects.count() == 3
    assert wire.paths().count("/oauth/token") == 2


def test_report_when_asked_then_no_answer_has_a_secret(client, wire, token, caplog):
    caplog.set_level("DEBUG")
    answer = client.get(REPORT, **headers(token))
    assert len(set(wire.secrets())) == 4
    for secret in (token, *wire.secrets()):
        assert secret not in answer.content.decode()
        assert secret not in caplog.text


def test_report_when_services_wait_then_whoever_waits_for_them_waits_longer(client, wire, token):
    client.get(REPORT, **headers(token))
    exchange_a, call_b, exchange_b, call_c = (timeout for _request, timeout in wire.sent)
    assert exchange_b + call_c < call_b
    assert exchange_a + call_b < TIMEOUT


def test_report_when_the_middle_is_revoked_for_good_then_a_says_so_and_works(client, wire, token):
    client.get(REPORT, **headers(token))
    middle = Delegation.objects.get(depth=1)
    revocation.subtree(middle, audit.RequestContext(actor="user:1"), reason="over")
    answer = client.get(REPORT, **headers(token))
    assert answer.status_code == 403
    assert answer.json() == {
        "error": "onward_refused",
        "error_description": "service_a could not call service_b.",
        "hop": "service_a -> service_b",
        "step": "exchange",
        "status": 400,
        "reason": {
            "error": "invalid_target",
            "error_description": (
                "This was taken from the client, and cannot be delegated to it again."
            ),
        },
    }
    assert get(client, "service_a:metrics", token).status_code == 200


def test_report_when_the_last_hop_is_refused_then_that_one_is_named(client, wire, token):
    client.get(REPORT, **headers(token))
    last = Delegation.objects.get(depth=2)
    revocation.subtree(last, audit.RequestContext(actor="user:1"), reason="over")
    answer = client.get(REPORT, **headers(token))
    assert answer.status_code == 403
    assert answer.json()["hop"] == "service_b -> service_c"
    assert answer.json()["reason"]["error"] == "invalid_target"


def test_report_when_revoked_between_exchange_and_call_then_b_tries_once_more_and_is_refused(
    client, wire, token
):
    def end(path):
        if path == "/service-c/report":
            revocation.subtree(
                Delegation.objects.get(depth=0), audit.RequestContext(), reason="over"
            )

    wire.seen = end
    answer = client.get(REPORT, **headers(token))
    assert answer.status_code == 403
    told = answer.json()
    # C says that the token is not valid, so B asks for another one, which nobody gives it any more.
    assert wire.paths()[-2:] == ["/service-c/report", "/oauth/token"]
    assert (told["hop"], told["step"]) == ("service_b -> service_c", "exchange")
    assert (told["status"], told["reason"]["error"]) == (400, "invalid_request")
