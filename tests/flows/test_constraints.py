"""Every constraint at every door: issue, refresh, exchange, introspection, and the resource."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from django.apps import apps
from django.test import override_settings

from delegation_app.models import AuditEvent, Delegation
from delegation_app.protocol.constraints import REGISTRY, Constraints, EnforcementPoint, install
from delegation_app.protocol.constraints.base import Constraint, InvalidConstraint, check_members
from delegation_app.protocol.errors import InvalidToken, OutsideLimits
from delegation_app.protocol.verified_token import Call
from delegation_app.services.audit import RequestContext
from delegation_app.services.delegations import creation
from delegation_app.services.delegations.narrowing import Narrowing
from delegation_app.services.tokens import local_verifier
from tests.support.answers import refusal_recorded, refused
from tests.support.chains import handed_on
from tests.support.world import SERVICE_A, SERVICE_B, claims_of, delegation_of

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
def test_constraint_when_kept_then_every_door_is_open(limited, case):
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
def test_constraint_when_passed_then_the_doors_that_judge_it_are_closed(limited, clock, case):
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
def test_code_when_the_limit_is_passed_then_it_is_not_redeemed(story, clock, name):
    case = CASES[name]
    clock.time = NOON.replace(hour=10, minute=59, second=30)
    story.browser.force_login(story.world.alice)
    story.wire.defaults["REMOTE_ADDR"] = INSIDE
    story.world.web.change(constraints=Constraints.parse([case.members]))
    code = story.code()
    clock.forward(seconds=30)
    story.wire.defaults["REMOTE_ADDR"] = case.address
    with refusal_recorded("invalid_grant", delegation=Delegation.objects.get()):
        refused(story.redeem(code), "invalid_grant")


@pytest.mark.conformance("TX-37", "DG-10")
@pytest.mark.parametrize(
    "members",
    [
        {"type": "ip_range", "networks": ["10.0.0.0/8"]},
        {"type": "time_window", "not_after": "2020-01-01T00:00:00Z"},
        {"type": "resource_servers", "identifiers": [SERVICE_A]},
    ],
)
def test_exchange_when_the_exchanging_clients_own_policy_forbids_it_then_nothing_is_opened(
    story, world, members
):
    tokens = story.tokens()
    world.service_a_client.change(constraints=Constraints.parse([members]))
    code = "invalid_target" if "identifiers" in members else "invalid_request"
    with refusal_recorded(code, delegation=delegation_of(tokens)):
        refused(story.exchange(tokens["access_token"]), code)
    assert Delegation.objects.count() == 1


def test_exchange_when_the_policy_limits_the_uses_then_the_last_refusal_opens_nothing(story, world):
    limit = Constraints.parse([{"type": "max_uses", "uses": 1}])
    world.service_a_client.change(constraints=limit)
    tokens = story.tokens()
    assert handed_on(story, tokens["access_token"])
    with refusal_recorded("invalid_request", delegation=delegation_of(tokens)):
        refused(story.exchange(tokens["access_token"]), "invalid_request")


@pytest.mark.conformance("TX-37")
def test_uses_when_limited_at_the_root_then_the_whole_tree_shares_them(story, world):
    world.web.change(constraints=Constraints.parse([{"type": "max_uses", "uses": 3}]))
    tokens = story.tokens()
    child = handed_on(story, tokens["access_token"])
    handed_on(story, child["access_token"], scope="read:metrics")
    with refusal_recorded("invalid_request"):
        refused(story.exchange(tokens["access_token"]), "invalid_request")
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


def test_exchange_when_a_constraint_is_cut_without_an_end_then_it_is_refused(story, forgotten):
    install(Restless)
    one, two = (story.client_credentials(scope=scope).json() for scope in (READ, BOTH))
    limits = Narrowing(constraints=Constraints([Restless(1)]))
    creation.narrow(delegation_of(one), limits, RequestContext(actor="user:99"), reason="x")
    before = delegation_of(two)

    refused(story.exchange(two["access_token"]), "invalid_request")

    detail = AuditEvent.objects.latest("pk").details["detail"]
    assert detail == "its constraints are different each time they are narrowed"
    assert delegation_of(two).constraints == before.constraints


def test_constraint_of_another_package_when_set_then_it_is_installed_and_judged(story, forgotten):
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


def test_constraint_when_its_package_is_gone_then_nothing_is_permitted(story, world, forgotten):
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


def test_constraint_when_unknown_then_it_can_not_be_stored(world):
    with pytest.raises(InvalidConstraint):
        Constraints.parse([{"type": "phase_of_the_moon"}])
    assert not AuditEvent.objects.filter(event="request.refused").exists()
