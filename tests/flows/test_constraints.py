"""Every constraint at every door, requested or set by policy."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from django.apps import apps
from django.test import override_settings

from delegation_app.models import AuditEvent, Delegation
from delegation_app.protocol import names
from delegation_app.protocol.constraints import REGISTRY, Constraints, EnforcementPoint, install
from delegation_app.protocol.constraints.base import Constraint, check_members
from delegation_app.protocol.constraints.collection import MAX_CONSTRAINTS
from delegation_app.protocol.errors import InvalidToken, OutsideLimits
from delegation_app.protocol.verified_token import Call
from delegation_app.services.audit import RequestContext
from delegation_app.services.delegations import creation
from delegation_app.services.delegations.narrowing import Narrowing
from delegation_app.services.reporting import explanation
from delegation_app.services.tokens import local_verifier
from tests.support.answers import nothing_stored, refusal_recorded, refused, refuses
from tests.support.chains import handed_on
from tests.support.world import SERVICE_A, SERVICE_B, claims_of, delegation_of, redirected

ISSUER = {"ISSUER": "https://as.example.com"}
READ, BOTH = "read:metrics", "read:metrics write:alerts"
INSIDE, OUTSIDE = "10.1.2.3", "192.0.2.1"
# A Wednesday, ten in the morning
NOON = datetime(2030, 1, 2, 10, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Case:
    """A constraint, how its limit is passed, and which doors close then."""

    members: dict
    closed: frozenset
    call: Call = field(default_factory=lambda: Call(INSIDE, "GET", "/metrics/1"))
    beyond: Call | None = None
    address: str = INSIDE
    hours: int = 0


DOORS = frozenset({"code", "refresh", "exchange", "introspection", "resource"})
CASES = {
    "ip_range": Case(
        {"type": "ip_range", "networks": ["10.0.0.0/8", "2001:db8::/32"]},
        DOORS - {"introspection"},
        beyond=Call(OUTSIDE, "GET", "/metrics/1"),
        address=OUTSIDE,
    ),
    "not_after": Case({"type": "time_window", "not_after": "2030-01-02T11:00:00Z"}, DOORS, hours=1),
    "weekly": Case(
        {
            "type": "time_window",
            "time_zone": "Europe/Berlin",
            "weekly": [{"days": ["wed"], "from": "09:00", "to": "12:00"}],
        },
        DOORS,
        hours=1,
    ),
    "resource_path": Case(
        {"type": "resource_path", "rules": [{"methods": ["GET"], "prefixes": ["/metrics"]}]},
        frozenset({"resource"}),
        beyond=Call(INSIDE, "POST", "/metrics/1"),
    ),
    "max_depth": Case({"type": "max_depth", "depth": 0}, frozenset({"exchange"})),
    "max_uses": Case({"type": "max_uses", "uses": 2}, DOORS - {"introspection", "resource"}),
    "resource_servers": Case(
        {"type": "resource_servers", "identifiers": [SERVICE_A]}, frozenset({"exchange"})
    ),
}


@pytest.fixture(params=CASES)
def case(request):
    return CASES[request.param]


@pytest.fixture
def limited(story, clock, case):
    """Web's policy has the constraint; what it holds is long-lived, so that only that stops it."""
    clock.time = NOON
    story.browser.force_login(story.world.alice)
    story.wire.defaults["REMOTE_ADDR"] = INSIDE
    story.world.web.change(
        constraints=Constraints.parse([case.members]), access_token_lifetime=36_000
    )
    return story


def beyond(story, clock, case):
    """Pass the limit."""
    clock.forward(hours=case.hours)
    story.wire.defaults["REMOTE_ADDR"] = case.address


@pytest.mark.conformance("DG-02", "DG-10", "TX-37")
def test_constraint_when_kept(limited, case):
    story = limited
    tokens = story.tokens()
    assert story.is_active(tokens["access_token"])
    assert local_verifier.verify(tokens["access_token"], SERVICE_A, case.call)
    if "max" not in case.members["type"] and case.members["type"] != "resource_servers":
        assert story.refresh(tokens["refresh_token"]).status_code == 200
        child = handed_on(story, tokens["access_token"])
        # What is handed on carries the limit.
        assert delegation_of(child).constraints == delegation_of(tokens).constraints
        claim = claims_of(child["access_token"]).get("constraints")
        judged = EnforcementPoint.RESOURCE in REGISTRY[case.members["type"]].ENFORCED_AT
        assert (claim is not None) == judged


@pytest.mark.conformance("DG-02", "DG-10", "TX-37")
def test_constraint_when_passed(limited, clock, case):
    story = limited
    tokens, code = story.tokens(), story.code(prompt="consent")
    row = delegation_of(tokens)
    if case.members["type"] == "max_uses":
        tokens |= story.refresh(tokens["refresh_token"]).json()
        story.redeem(code)
        code = None
    beyond(story, clock, case)
    closed = closed_at_issue(story, case, tokens, row)
    if not story.is_active(tokens["access_token"]):
        closed.add("introspection")
    if not opens(tokens["access_token"], case.beyond or case.call):
        closed.add("resource")
    assert closed == case.closed - {"code"}


def closed_at_issue(story, case, tokens, row):
    """Which of refresh and exchange refuse, in the way that they should."""
    target = case.members["type"] == "resource_servers"
    doors = {
        "refresh": (lambda: story.refresh(tokens["refresh_token"]), "invalid_grant"),
        "exchange": (
            lambda: story.exchange(tokens["access_token"]),
            "invalid_target" if target else "invalid_request",
        ),
    }
    for name, (request, error) in doors.items():
        if name not in case.closed:
            assert request().status_code == 200, name
            continue
        with refusal_recorded(error, delegation=row):
            refused(request(), error)
    return set(doors) & case.closed


def opens(token, call):
    """Whether the resource lets this call through; else its answer is a 403."""
    try:
        local_verifier.verify(token, SERVICE_A, call)
    except OutsideLimits as error:
        return (error.status, error.code) != (403, "insufficient_scope")
    return True


@pytest.mark.conformance("DG-10")
@pytest.mark.parametrize("name", ["ip_range", "not_after", "weekly"])
def test_code_when_the_limit_is_passed(story, clock, name):
    case = CASES[name]
    clock.time = NOON.replace(hour=10, minute=59, second=30)
    story.browser.force_login(story.world.alice)
    story.wire.defaults["REMOTE_ADDR"] = INSIDE
    story.world.web.change(constraints=Constraints.parse([case.members]))
    code = story.code()
    clock.forward(seconds=30)
    story.wire.defaults["REMOTE_ADDR"] = case.address
    refuses("invalid_grant", lambda: story.redeem(code), delegation=Delegation.objects.get())


def test_exchange_when_the_policy_limits_the_uses(story, world):
    limit = Constraints.parse([{"type": "max_uses", "uses": 1}])
    world.service_a_client.change(constraints=limit)
    tokens = story.tokens()
    assert handed_on(story, tokens["access_token"])
    with refusal_recorded("invalid_request", delegation=delegation_of(tokens)):
        refused(story.exchange(tokens["access_token"]), "invalid_request")


@pytest.mark.conformance("TX-37")
def test_uses_when_limited_at_the_root(story, world):
    world.web.change(constraints=Constraints.parse([{"type": "max_uses", "uses": 3}]))
    tokens = story.tokens()
    child = handed_on(story, tokens["access_token"])
    handed_on(story, child["access_token"], scope="read:metrics")
    refuses("invalid_request", lambda: story.exchange(tokens["access_token"]))
    assert delegation_of(tokens).uses == 3
    assert delegation_of(child).uses == 2
    # What was issued stays good.
    assert story.is_active(child["access_token"], world.service_b_client)


# Constraints of other packages


@dataclass(frozen=True, slots=True)
class Weekdays(Constraint):
    """A made-up constraint of another package: it permits nothing at the resource."""

    TYPE = "closed_shop"
    ENFORCED_AT = frozenset({EnforcementPoint.RESOURCE})

    @classmethod
    def parse(cls, members):
        check_members(cls.TYPE, members)
        return cls()

    def as_json(self):
        return {"type": self.TYPE}

    def narrowed(self, parent):
        return parent

    def refusal(self, access):
        return "The shop is closed."

    def describe(self):
        return "Never."


@pytest.fixture
def forgotten():
    """Whatever is installed by the test is not known to the next one."""
    before = dict(REGISTRY)
    yield
    REGISTRY.clear()
    REGISTRY.update(before)


@dataclass(frozen=True, slots=True)
class Restless(Constraint):
    """A constraint whose `narrowed` is never the same again, as `Constraint` does not permit."""

    TYPE = "restless"
    ENFORCED_AT = frozenset({EnforcementPoint.HAND_ON})
    # What a loop without a bound would pass
    MOST = 100

    times: int

    @classmethod
    def parse(cls, members):
        return cls(members["times"])

    def as_json(self):
        return {"type": self.TYPE, "times": self.times}

    def narrowed(self, parent):
        return Restless(min(max(self.times, parent.times) + 1, self.MOST))

    def refusal(self, access):
        return None

    def describe(self):
        return "Always something else."


def test_exchange_when_a_constraint_is_cut_without_an_end(story, forgotten):
    install(Restless)
    one, two = (story.client_credentials(scope=scope).json() for scope in (READ, BOTH))
    limits = Narrowing(constraints=Constraints([Restless(1)]))
    creation.narrow(delegation_of(one), limits, RequestContext(actor="user:99"), reason="x")
    before = delegation_of(two)

    refused(story.exchange(two["access_token"]), "invalid_request")

    detail = AuditEvent.objects.latest("pk").details["detail"]
    assert detail == "its constraints are different each time they are narrowed"
    assert delegation_of(two).constraints == before.constraints


def test_constraint_of_another_package_when_set(story, forgotten):
    path = f"{__name__}.Weekdays"
    with override_settings(DELEGATION={**ISSUER, "CONSTRAINTS": [path]}):
        apps.get_app_config("delegation_app").ready()
    assert REGISTRY["closed_shop"].__name__ == "Weekdays"
    limit = Constraints.parse([{"type": "closed_shop"}])
    story.world.web.change(constraints=limit)
    tokens = story.tokens()
    child = handed_on(story, tokens["access_token"])
    assert claims_of(child["access_token"])["constraints"] == [{"type": "closed_shop"}]
    with pytest.raises(OutsideLimits, match="shop is closed"):
        local_verifier.verify(child["access_token"], SERVICE_B)


def test_constraint_when_its_package_is_gone(story, world, forgotten):
    install(Weekdays)
    world.web.change(constraints=Constraints.parse([{"type": "closed_shop"}]))
    tokens = story.tokens()
    child = handed_on(story, tokens["access_token"])
    del REGISTRY["closed_shop"]
    for token, audience, asker in (
        (tokens["access_token"], SERVICE_A, world.service_a_client),
        (child["access_token"], SERVICE_B, world.service_b_client),
    ):
        assert not story.is_active(token, asker)
        with pytest.raises((OutsideLimits, InvalidToken)):
            local_verifier.verify(token, audience)
    refused(story.exchange(tokens["access_token"]), "invalid_request")
    refused(story.refresh(tokens["refresh_token"]), "invalid_grant")
    # It was kept as it was.
    assert delegation_of(child).constraints.as_json() == [{"type": "closed_shop"}]


# Constraints that a client or a person asks for, and whose address counts
LOCAL = {"type": "ip_range", "networks": ["127.0.0.0/8"]}


@pytest.fixture
def tokens(story):
    return story.tokens()


@pytest.fixture
def asking(world):
    """Service A's client may ask for constraints."""
    world.service_a_client.change(may_request_constraints=True)


@pytest.mark.conformance("TX-37")
def test_parameter_when_the_policy_allows_it(story, tokens, asking):
    wanted = [LOCAL, {"type": "max_depth", "depth": 0}]
    child = handed_on(story, tokens["access_token"], constraints=json.dumps(wanted))
    assert delegation_of(child).constraints == Constraints.parse(wanted)
    refused(
        story.exchange(child["access_token"], story.world.service_b_client, audience=SERVICE_A),
        "invalid_request",
    )


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
def test_parameter_when_malformed_or_unknown(story, tokens, asking, text):
    refuses("invalid_request", lambda: story.exchange(tokens["access_token"], constraints=text))


def test_authorization_when_it_asks_for_constraints(story, world):
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
def test_address_when_a_trusted_proxy_forwards(story, peer, forwarded, status):
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
def test_address_when_no_proxy_is_trusted(story, header):
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
def test_address_when_it_is_unknown(story, environ, network):
    policy_of(story, network)
    tokens = story.tokens()
    story.wire.defaults |= environ
    answer = story.refresh(tokens["refresh_token"])
    refused(answer, "invalid_grant")
    conclusion = explanation.explain(answer["X-Request-Id"]).conclusion
    for text in (answer.json()["error_description"], conclusion):
        assert "address of this request is unknown" in text
        assert "TRUSTED_PROXIES" in text


def test_address_when_the_socket_is_trusted(story):
    policy_of(story, "203.0.113.0/24")
    story.wire.defaults |= {"REMOTE_ADDR": "", "HTTP_X_FORWARDED_FOR": "203.0.113.9"}
    with override_settings(DELEGATION={**ISSUER, "TRUSTED_PROXIES": ["unix"]}):
        tokens = story.tokens()
        story.wire.defaults["HTTP_X_FORWARDED_FOR"] = "203.0.113.9, 192.0.2.1"
        refused(story.refresh(tokens["refresh_token"]), "invalid_grant")


# What a person chooses


@pytest.mark.conformance("TX-23", "TX-37")
def test_lifetime_when_a_person_chooses_one(story, clock):
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


def test_lifetime_when_left_empty(story, world):
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
def test_lifetime_when_it_was_not_offered(story, world, chosen):
    world.web.change(delegation_lifetime=7200)
    page = story.authorize()
    with nothing_stored():
        response = story.answer(page, lifetime=chosen)
    assert response.status_code == 400
    assert names.AUTHORIZATION_CODE in world.web.policy.grants
