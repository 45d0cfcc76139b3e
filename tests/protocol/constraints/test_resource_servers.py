from datetime import UTC, datetime

import pytest

from delegation_app.protocol.audience import Audience
from delegation_app.protocol.constraints import AccessContext, EnforcementPoint, InvalidConstraint
from delegation_app.protocol.constraints.resource_servers import ResourceServers

A, B, C = (f"https://{name}.example.com" for name in "abc")


def servers(*identifiers):
    return ResourceServers.parse({"identifiers": list(identifiers)})


def access(audience):
    return AccessContext(
        EnforcementPoint.ISSUE, datetime(2026, 1, 1, tzinfo=UTC), audience=audience
    )


def test_resource_servers_when_parsed_then_sorted_and_each_once():
    assert servers(B, A, B).as_json() == {"type": "resource_servers", "identifiers": [A, B]}


@pytest.mark.parametrize("identifiers", [[A], [B], [A, B]])
def test_resource_servers_when_audience_is_listed_then_permitted(identifiers):
    assert servers(A, B).refusal(access(Audience(identifiers))) is None


@pytest.mark.parametrize("audience", [None, Audience(), Audience([C]), Audience([A, C])])
def test_resource_servers_when_audience_is_unknown_or_elsewhere_then_refused(audience):
    assert servers(A, B).refusal(access(audience)) == "It may not be used at this resource server."


def test_resource_servers_when_narrowed_then_what_both_list():
    assert servers(A, B).narrowed(servers(B, C)) == servers(B)
    with pytest.raises(InvalidConstraint, match="no resource server"):
        servers(A).narrowed(servers(B))


@pytest.mark.parametrize(
    "value",
    [[], A, None, {}, [1], [A, None], ["/a"], [f"{A}/#x"], [f"{A}/{'x' * 2000}"], [A] * 101],
)
def test_resource_servers_when_malformed_then_invalid_constraint(value):
    with pytest.raises(InvalidConstraint, match="resource_servers"):
        ResourceServers.parse({"identifiers": value})


def test_resource_servers_when_described_then_they_are_named():
    assert servers(A).describe() == f"Only at {A}."
    assert servers(A, B, C).describe() == f"Only at {A}, {B} or {C}."
    assert set(EnforcementPoint) == ResourceServers.ENFORCED_AT
