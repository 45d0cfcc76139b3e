"""Constraints that a client or a person asks for, and whose address counts."""

import json
from datetime import timedelta

import pytest
from django.test import override_settings

from delegation_app.models import AuditEvent
from delegation_app.protocol import names
from delegation_app.protocol.constraints import Constraints
from delegation_app.protocol.constraints.collection import MAX_CONSTRAINTS
from delegation_app.services.reporting import explanation
from tests.support.answers import nothing_stored, refusal_recorded, refused
from tests.support.chains import handed_on
from tests.support.world import SERVICE_A, SERVICE_B, delegation_of, redirected

ISSUER = {"ISSUER": "https://as.example.com"}
LOCAL = {"type": "ip_range", "networks": ["127.0.0.0/8"]}


@pytest.fixture
def tokens(story):
    return story.tokens()


@pytest.fixture
def asking(world):
    """Service A's client may ask for constraints."""
    world.service_a_client.change(may_request_constraints=True)


@pytest.mark.conformance("TX-37")
def test_parameter_when_the_policy_allows_it_then_the_child_is_narrower(story, tokens, asking):
    wanted = [LOCAL, {"type": "max_depth", "depth": 0}]
    child = handed_on(story, tokens["access_token"], constraints=json.dumps(wanted))
    assert delegation_of(child).constraints == Constraints.parse(wanted)
    refused(
        story.exchange(child["access_token"], story.world.service_b_client, audience=SERVICE_A),
        "invalid_request",
    )


@pytest.mark.conformance("TX-37")
@pytest.mark.parametrize(
    ("held", "asked", "left"),
    [
        (LOCAL, {"type": "ip_range", "networks": ["0.0.0.0/0"]}, LOCAL),
        (
            {"type": "max_depth", "depth": 2},
            {"type": "max_depth", "depth": 30},
            {"type": "max_depth", "depth": 1},
        ),
        (
            {"type": "max_uses", "uses": 5},
            {"type": "max_uses", "uses": 9},
            {"type": "max_uses", "uses": 5},
        ),
        (
            {"type": "resource_servers", "identifiers": [SERVICE_A, SERVICE_B]},
            {"type": "resource_servers", "identifiers": [SERVICE_B, "https://x.example.com"]},
            {"type": "resource_servers", "identifiers": [SERVICE_B]},
        ),
        (
            {"type": "resource_path", "rules": [{"methods": ["GET"], "prefixes": ["/a"]}]},
            {"type": "resource_path", "rules": [{"methods": ["*"], "prefixes": ["/"]}]},
            {"type": "resource_path", "rules": [{"methods": ["GET"], "prefixes": ["/a"]}]},
        ),
        (
            {"type": "time_window", "not_after": "2090-01-01T00:00:00Z"},
            {"type": "time_window", "not_after": "2099-01-01T00:00:00Z"},
            {"type": "time_window", "not_after": "2090-01-01T00:00:00Z"},
        ),
    ],
)  # fmt: skip
def test_parameter_when_wider_than_the_parent_then_the_parents_limit_stays(
    story, asking, held, asked, left
):
    story.world.web.change(constraints=Constraints.parse([held]))
    token = story.tokens()["access_token"]
    child = handed_on(story, token, constraints=json.dumps([asked]))
    assert delegation_of(child).constraints.as_json() == [left]
    # Asking for nothing, or leaving it out, loosens nothing either.
    same = handed_on(story, token, constraints="[]")
    assert delegation_of(same).constraints == Constraints.parse([held]).for_child()


def test_parameter_when_it_leaves_nothing_then_invalid_request(story, world, asking):
    world.web.change(constraints=Constraints.parse([LOCAL]))
    tokens = story.tokens()
    other = json.dumps([{"type": "ip_range", "networks": ["10.0.0.0/8"]}])
    with refusal_recorded("invalid_request", delegation=delegation_of(tokens)):
        refused(story.exchange(tokens["access_token"], constraints=other), "invalid_request")


def test_parameter_when_the_policy_does_not_allow_it_then_invalid_request(story, tokens):
    with refusal_recorded("invalid_request"):
        response = story.exchange(tokens["access_token"], constraints=json.dumps([LOCAL]))
    refused(response, "invalid_request")


@pytest.mark.parametrize(
    "text",
    [
        "{}", "null", "[1]", "[{}]", "[", "x", '[{"type":"nonsense"}]', '[{"type":"unreadable"}]',
        '[{"type":"ip_range"}]', '[{"type":"ip_range","networks":["10.0.0.1/8"]}]',
        '[{"type":"max_uses","uses":0}]', '[{"type":"max_uses","uses":1e309}]',
        '[{"type":"max_uses","uses":1,"uses":2}]', '[{"type":"max_depth","depth":-1}]',
        '[{"type":"max_depth","depth":NaN}]', "[" * 4000, " " * 5000, "é" * 3000,
        json.dumps([{"type": "max_depth", "depth": 1}] * (MAX_CONSTRAINTS + 1)),
    ],
)  # fmt: skip
def test_parameter_when_malformed_or_unknown_then_invalid_request(story, tokens, asking, text):
    with refusal_recorded("invalid_request"):
        response = story.exchange(tokens["access_token"], constraints=text)
    refused(response, "invalid_request")


def test_authorization_when_it_asks_for_constraints_then_only_as_the_policy_allows(story, world):
    text = json.dumps([LOCAL])
    answer = redirected(story.authorize(constraints=text))
    assert answer["error"] == "invalid_request"
    world.web.change(may_request_constraints=True)
    page = story.authorize(constraints=text)
    assert "127.0.0.0/8" in page.content.decode()
    tokens = story.redeem(redirected(story.answer(page))["code"]).json()
    assert delegation_of(tokens).constraints == Constraints.parse([LOCAL])
    assert delegation_of(tokens).consent.constraints == Constraints.parse([LOCAL])
    story.wire.defaults["REMOTE_ADDR"] = "192.0.2.1"
    refused(story.refresh(tokens["refresh_token"]), "invalid_grant")


@pytest.mark.parametrize("grant", ["refresh", "client_credentials"])
def test_parameter_when_sent_with_another_grant_then_it_is_refused(story, tokens, asking, grant):
    text = json.dumps([{"type": "max_depth", "depth": 0}])
    if grant == "refresh":
        response = story.refresh(tokens["refresh_token"], constraints=text)
    else:
        response = story.client_credentials(story.world.service_a_client, constraints=text)
    refused(response, "invalid_request")


# Whose address counts


def policy_of(story, *networks):
    story.world.web.change(
        constraints=Constraints.parse([{"type": "ip_range", "networks": list(networks)}])
    )


@pytest.mark.conformance("DG-10", "TX-37")
@pytest.mark.parametrize(
    ("peer", "forwarded", "status"),
    [
        ("198.51.100.1", "203.0.113.9", 200),
        ("198.51.100.1", "192.0.2.1, 203.0.113.9", 200),
        ("198.51.100.1", "203.0.113.9, 198.51.100.2", 200),
        ("198.51.100.1", "[::ffff:203.0.113.9]:4711", 200),
        ("198.51.100.1", "203.0.113.9, 192.0.2.1", 400),
        ("198.51.100.1", "203.0.113.9, unknown", 400),
        ("198.51.100.1", "", 400),
        ("198.51.100.1", "203.0.113.9," * 60, 400),
        # Not one of ours: what it says of others is not believed.
        ("192.0.2.1", "203.0.113.9", 400),
        # Nor is its own address: it may be a proxy that the site forgot to name.
        ("203.0.113.9", "192.0.2.1", 400),
        ("203.0.113.9", "203.0.113.9", 400),
        ("", "203.0.113.9", 400),
        ("203.0.113.9", "", 200),
    ],
)
def test_address_when_a_trusted_proxy_forwards_then_the_one_it_saw_counts(
    story, peer, forwarded, status
):
    policy_of(story, "203.0.113.0/24")
    story.wire.defaults["REMOTE_ADDR"] = "203.0.113.9"
    tokens = story.tokens()
    story.wire.defaults |= {"REMOTE_ADDR": peer, "HTTP_X_FORWARDED_FOR": forwarded}
    with override_settings(DELEGATION={**ISSUER, "TRUSTED_PROXIES": ["198.51.100.0/24"]}):
        exchanged = story.exchange(tokens["access_token"])
        assert exchanged.status_code == status, exchanged.content
        refreshed = story.refresh(tokens["refresh_token"])
        assert refreshed.status_code == status, refreshed.content
    if status == 400:
        refused(exchanged, "invalid_request")
        refused(refreshed, "invalid_grant")


@pytest.mark.conformance("DG-10")
@pytest.mark.parametrize("header", ["X_FORWARDED_FOR", "FORWARDED", "X_REAL_IP", "CLIENT_IP"])
def test_address_when_no_proxy_is_trusted_then_no_header_changes_it(story, header):
    policy_of(story, "203.0.113.0/24")
    story.wire.defaults["REMOTE_ADDR"] = "203.0.113.9"
    tokens = story.tokens()
    story.wire.defaults |= {"REMOTE_ADDR": "192.0.2.1", f"HTTP_{header}": "203.0.113.9"}
    # Who writes such a header has no address, and its peer is on record all the same
    seen = "192.0.2.1" if header == "CLIENT_IP" else None
    with refusal_recorded("invalid_request", delegation=delegation_of(tokens), ip_address=seen):
        refused(story.exchange(tokens["access_token"]), "invalid_request")
    refused(story.refresh(tokens["refresh_token"]), "invalid_grant")
    if seen is None:
        event = AuditEvent.objects.filter(event="request.refused").last()
        assert event.details["via"].startswith("192.0.2.1")


@pytest.mark.parametrize("environ", [{"HTTP_X_FORWARDED_PROTO": "https"}, {"REMOTE_ADDR": ""}])
@pytest.mark.parametrize("network", ["127.0.0.0/8", "0.0.0.0/0"])
def test_address_when_it_is_unknown_then_no_network_holds_it_and_why_says_so(
    story, environ, network
):
    policy_of(story, network)
    tokens = story.tokens()
    story.wire.defaults |= environ
    answer = story.refresh(tokens["refresh_token"])
    refused(answer, "invalid_grant")
    conclusion = explanation.explain(answer["X-Request-Id"]).conclusion
    for text in (answer.json()["error_description"], conclusion):
        assert "address of this request is unknown" in text
        assert "TRUSTED_PROXIES" in text


def test_address_when_the_socket_is_trusted_then_what_its_proxy_saw_counts(story):
    policy_of(story, "203.0.113.0/24")
    story.wire.defaults |= {"REMOTE_ADDR": "", "HTTP_X_FORWARDED_FOR": "203.0.113.9"}
    with override_settings(DELEGATION={**ISSUER, "TRUSTED_PROXIES": ["unix"]}):
        tokens = story.tokens()
        story.wire.defaults["HTTP_X_FORWARDED_FOR"] = "203.0.113.9, 192.0.2.1"
        refused(story.refresh(tokens["refresh_token"]), "invalid_grant")


# What a person chooses


@pytest.mark.conformance("TX-23", "TX-37")
def test_lifetime_when_a_person_chooses_one_then_nothing_made_of_it_lives_longer(story, clock):
    page = story.authorize()
    code = redirected(story.answer(page, lifetime="3600"))["code"]
    tokens = story.redeem(code).json()
    root = delegation_of(tokens)
    assert root.expires_at - root.issued_at <= timedelta(hours=1)
    assert root.consent.chosen_expiry == root.expires_at
    child = handed_on(story, tokens["access_token"])
    assert delegation_of(child).expires_at == root.expires_at
    clock.forward(hours=1)
    assert not story.is_active(child["access_token"], story.world.service_b_client)
    refused(story.refresh(tokens["refresh_token"]), "invalid_grant")


def test_lifetime_when_left_empty_then_it_is_as_long_as_the_client_may(story, world):
    world.web.change(delegation_lifetime=7200)
    page = story.authorize()
    html = page.content.decode()
    # Longer ones are not offered.
    assert 'value="3600"' in html
    assert 'value="86400"' not in html
    tokens = story.redeem(redirected(story.answer(page, lifetime=""))["code"]).json()
    row = delegation_of(tokens)
    assert timedelta(seconds=7199) < row.expires_at - row.issued_at <= timedelta(seconds=7200)


@pytest.mark.parametrize(
    "chosen", ["86400", "0", "-1", "3600.0", "1e9", "٣٦٠٠", " 3600", "99999999999", "x"]
)
def test_lifetime_when_it_was_not_offered_then_nothing_is_granted(story, world, chosen):
    world.web.change(delegation_lifetime=7200)
    page = story.authorize()
    with nothing_stored():
        response = story.answer(page, lifetime=chosen)
    assert response.status_code == 400
    assert names.AUTHORIZATION_CODE in world.web.policy.grants
