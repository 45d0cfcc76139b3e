from datetime import UTC, datetime

import pytest

from delegation_app.protocol.audience import Audience
from delegation_app.protocol.constraints import AccessContext, EnforcementPoint, InvalidConstraint
from delegation_app.protocol.constraints.max_depth import MaxDepth
from delegation_app.protocol.constraints.max_uses import MaxUses
from delegation_app.protocol.constraints.resource_servers import ResourceServers

pytestmark = pytest.mark.any_database

A, B, C = (f"https://{name}.example.com" for name in "abc")


@pytest.mark.parametrize(
    ("uses", "permitted"), [(0, True), (1, True), (2, False), (3, False), (None, False)]
)
def test_max_uses_when_that_many_were_issued(uses, permitted):
    access = AccessContext(EnforcementPoint.ISSUE, datetime(2026, 1, 1, tzinfo=UTC), uses=uses)
    assert (MaxUses(2).refusal(access) is None) == permitted


def test_max_uses_when_narrowed():
    assert MaxUses(2).narrowed(MaxUses(1)) == MaxUses(1).narrowed(MaxUses(2)) == MaxUses(1)
    assert MaxUses(2).for_child() == MaxUses(2)


@pytest.mark.parametrize("value", [None, True, 0, -1, 2**31, 1.0, "1", [1]])
def test_max_uses_when_malformed(value):
    with pytest.raises(InvalidConstraint, match="uses must be an integer from 1 to 2147483647"):
        MaxUses.parse({"uses": value})


def test_max_uses_when_described():
    assert MaxUses(1).describe() == "At most 1 token in total."
    assert MaxUses(5).describe() == "At most 5 tokens in total."
    assert {EnforcementPoint.ISSUE, EnforcementPoint.HAND_ON} == MaxUses.ENFORCED_AT


ACCESS = AccessContext(EnforcementPoint.HAND_ON, datetime(2026, 1, 1, tzinfo=UTC))


def test_max_depth_when_handed_on():
    constraint = MaxDepth.parse({"depth": 2})
    refusals = []
    for _ in range(4):
        refusals.append(constraint.refusal(ACCESS))
        constraint = constraint.for_child()
    assert refusals == [None, None, *["It may not be delegated any further."] * 2]
    assert constraint == MaxDepth(0)


def test_max_depth_when_narrowed():
    assert MaxDepth(2).narrowed(MaxDepth(1)) == MaxDepth(1).narrowed(MaxDepth(2)) == MaxDepth(1)


@pytest.mark.parametrize("value", [None, True, False, -1, 33, 1.0, "1", [1], 10**30])
def test_max_depth_when_malformed(value):
    with pytest.raises(InvalidConstraint, match="depth must be an integer from 0 to 32"):
        MaxDepth.parse({"depth": value})


@pytest.mark.parametrize(
    ("depth", "sentence"),
    [
        (0, "It may not be delegated onward."),
        (1, "It may be delegated onward at most once."),
        (2, "It may be delegated onward at most 2 times in a row."),
    ],
)
def test_max_depth_when_described(depth, sentence):
    assert MaxDepth(depth).describe() == sentence
    assert {EnforcementPoint.HAND_ON} == MaxDepth.ENFORCED_AT


def servers(*identifiers):
    return ResourceServers.parse({"identifiers": list(identifiers)})


def access(audience):
    return AccessContext(
        EnforcementPoint.ISSUE, datetime(2026, 1, 1, tzinfo=UTC), audience=audience
    )


def test_resource_servers_when_parsed():
    assert servers(B, A, B).as_json() == {"type": "resource_servers", "identifiers": [A, B]}


@pytest.mark.parametrize("identifiers", [[A], [B], [A, B]])
def test_resource_servers_when_audience_is_listed(identifiers):
    assert servers(A, B).refusal(access(Audience(identifiers))) is None


@pytest.mark.parametrize("audience", [None, Audience(), Audience([C]), Audience([A, C])])
def test_resource_servers_when_audience_is_unknown_or_elsewhere(audience):
    assert servers(A, B).refusal(access(audience)) == "It may not be used at this resource server."


def test_resource_servers_when_narrowed():
    assert servers(A, B).narrowed(servers(B, C)) == servers(B)
    with pytest.raises(InvalidConstraint, match="no resource server"):
        servers(A).narrowed(servers(B))


@pytest.mark.parametrize(
    "value",
    [[], A, None, {}, [1], [A, None], ["/a"], [f"{A}/#x"], [f"{A}/{'x' * 2000}"], [A] * 101],
)
def test_resource_servers_when_malformed(value):
    with pytest.raises(InvalidConstraint, match="resource_servers"):
        ResourceServers.parse({"identifiers": value})


def test_resource_servers_when_described():
    assert servers(A).describe() == f"Only at {A}."
    assert servers(A, B, C).describe() == f"Only at {A}, {B} or {C}."
    assert set(EnforcementPoint) == ResourceServers.ENFORCED_AT
