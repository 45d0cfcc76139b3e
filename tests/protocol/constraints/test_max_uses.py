from datetime import UTC, datetime

import pytest

from delegation_app.protocol.constraints import AccessContext, EnforcementPoint, InvalidConstraint
from delegation_app.protocol.constraints.max_uses import MaxUses


@pytest.mark.parametrize(
    ("uses", "permitted"), [(0, True), (1, True), (2, False), (3, False), (None, False)]
)
def test_max_uses_when_that_many_were_issued_then_permitted_below_the_limit(uses, permitted):
    access = AccessContext(EnforcementPoint.ISSUE, datetime(2026, 1, 1, tzinfo=UTC), uses=uses)

    assert (MaxUses(2).refusal(access) is None) == permitted


def test_max_uses_when_narrowed_then_the_smaller_and_a_child_has_the_same():
    assert MaxUses(2).narrowed(MaxUses(1)) == MaxUses(1).narrowed(MaxUses(2)) == MaxUses(1)
    assert MaxUses(2).for_child() == MaxUses(2)


@pytest.mark.parametrize("value", [None, True, 0, -1, 2**31, 1.0, "1", [1]])
def test_max_uses_when_malformed_then_invalid_constraint(value):
    with pytest.raises(InvalidConstraint, match="uses must be an integer from 1 to 2147483647"):
        MaxUses.parse({"uses": value})


def test_max_uses_when_described_then_the_number_is_told():
    assert MaxUses(1).describe() == "At most 1 token in total."
    assert MaxUses(5).describe() == "At most 5 tokens in total."
    assert {EnforcementPoint.ISSUE, EnforcementPoint.HAND_ON} == MaxUses.ENFORCED_AT
