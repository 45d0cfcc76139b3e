from datetime import UTC, datetime

import pytest

from delegation_app.protocol.constraints import AccessContext, EnforcementPoint, InvalidConstraint
from delegation_app.protocol.constraints.max_depth import MaxDepth

ACCESS = AccessContext(EnforcementPoint.HAND_ON, datetime(2026, 1, 1, tzinfo=UTC))


def test_max_depth_when_handed_on_then_counts_down_to_a_refusal():
    constraint = MaxDepth.parse({"depth": 2})
    refusals = []
    for _ in range(4):
        refusals.append(constraint.refusal(ACCESS))
        constraint = constraint.for_child()

    assert refusals == [None, None, *["It may not be delegated any further."] * 2]
    assert constraint == MaxDepth(0)


def test_max_depth_when_narrowed_then_the_smaller():
    assert MaxDepth(2).narrowed(MaxDepth(1)) == MaxDepth(1).narrowed(MaxDepth(2)) == MaxDepth(1)


@pytest.mark.parametrize("value", [None, True, False, -1, 33, 1.0, "1", [1], 10**30])
def test_max_depth_when_malformed_then_invalid_constraint(value):
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
def test_max_depth_when_described_then_the_number_is_told(depth, sentence):
    assert MaxDepth(depth).describe() == sentence
    assert {EnforcementPoint.HAND_ON} == MaxDepth.ENFORCED_AT
