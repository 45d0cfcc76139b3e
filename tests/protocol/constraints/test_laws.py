"""What holds for every constraint, and for all of them together."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delegation_app.protocol.constraints import (
    BUILT_IN,
    REGISTRY,
    AccessContext,
    Constraints,
    EnforcementPoint,
    InvalidConstraint,
)
from tests.protocol.constraints.strategies import (
    ACCESSES,
    COLLECTION,
    CONSTRAINT,
    INSTANTS,
    MEMBERS,
)

pytestmark = pytest.mark.any_database

every_kind = pytest.mark.parametrize("kind", sorted(REGISTRY))

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["mon", "09:00", "UTC", "10.0.0.0/8", "GET", "/a", "2026-01-01T00:00:00Z"]),
    lambda children: (
        st.lists(children, max_size=3)
        | st.dictionaries(
            st.sampled_from(["days", "from", "to", "methods", "prefixes", "weekly", "time_zone"])
            | st.text(max_size=5),
            children,
            max_size=4,
        )
    ),
    max_leaves=12,
)


def narrowed(one, other):
    """Return what both leave, or None where that is nothing."""
    if one is None or other is None:
        return None
    try:
        return one.narrowed(other)
    except InvalidConstraint:
        return None


def permits(constraint, access):
    return constraint is not None and constraint.refusal(access) is None


def test_strategies_when_compared_with_the_types():
    assert set(MEMBERS) == {cls.TYPE for cls in BUILT_IN} == set(REGISTRY)


@every_kind
@given(data=st.data())
def test_constraint_when_written_and_read(kind, data):
    constraint = data.draw(CONSTRAINT[kind])
    again = REGISTRY[kind].parse(constraint.as_json())
    assert again == constraint
    assert hash(again) == hash(constraint)
    assert constraint.as_json()["type"] == kind


@every_kind
@given(data=st.data(), accesses=ACCESSES)
def test_narrowed_when_judged(kind, data, accesses):
    one, other = data.draw(CONSTRAINT[kind]), data.draw(CONSTRAINT[kind])
    both = narrowed(one, other)
    for access in accesses:
        assert permits(both, access) == (permits(one, access) and permits(other, access))
    assert both is None or REGISTRY[kind].parse(both.as_json()) == both


@every_kind
@given(data=st.data())
def test_narrowed_when_order_changes(kind, data):
    one, other, third = (data.draw(CONSTRAINT[kind]) for _ in range(3))
    assert narrowed(one, other) == narrowed(other, one)
    assert narrowed(narrowed(one, other), third) == narrowed(one, narrowed(other, third))


@every_kind
@given(data=st.data())
def test_narrowed_when_repeated(kind, data):
    one, other = data.draw(CONSTRAINT[kind]), data.draw(CONSTRAINT[kind])
    both = narrowed(one, other)
    assert narrowed(one, one) == one
    assert narrowed(both, one) == both


@every_kind
@given(data=st.data(), accesses=ACCESSES)
def test_handed_on_when_judged(kind, data, accesses):
    one, own = data.draw(CONSTRAINT[kind]), data.draw(CONSTRAINT[kind])
    child = narrowed(one.for_child(), own)
    for access in accesses:
        assert not permits(child, access) or permits(one, access)


@every_kind
@given(data=st.data(), now=INSTANTS, moment=st.sampled_from(EnforcementPoint))
def test_refusal_when_nothing_is_known(kind, data, now, moment):
    constraint = data.draw(CONSTRAINT[kind])
    needs_more_than_time = kind not in ("time_window", "max_depth")
    refusal = constraint.refusal(AccessContext(moment, now))
    assert refusal is not None or not needs_more_than_time
    assert refusal is None or (refusal.endswith(".") and len(refusal) < 80)


@every_kind
@given(data=st.data())
def test_describe_when_asked(kind, data):
    sentence = data.draw(CONSTRAINT[kind]).describe()
    assert len(sentence.splitlines()) == 1
    assert sentence.endswith(".")
    assert sentence[0].isupper()


@every_kind
@given(data=st.data())
def test_parse_when_a_member_is_arbitrary(kind, data):
    members = data.draw(MEMBERS[kind])
    name = data.draw(st.sampled_from(sorted(members)) | st.text(max_size=5))
    members = members | {name: data.draw(JSON)}

    try:
        constraint = REGISTRY[kind].parse(members)
    except InvalidConstraint as error:
        public = error.description
    else:
        assert REGISTRY[kind].parse(constraint.as_json()) == constraint
        return
    assert public.isprintable()
    assert len(public) < 200


@every_kind
@pytest.mark.parametrize("change", ["unknown", "missing", "type"])
@given(data=st.data())
def test_parse_when_members_are_not_the_known_ones(kind, change, data):
    members = data.draw(MEMBERS[kind])
    changed = {
        "unknown": members | {"colour": "red"},
        "missing": {},
        "type": members | {"type": "something_else"},
    }

    with pytest.raises(InvalidConstraint, match=kind):
        REGISTRY[kind].parse(changed[change])


@given(JSON)
def test_constraints_when_json_is_arbitrary(value):
    try:
        constraints = Constraints.parse(value)
    except InvalidConstraint:
        return
    assert Constraints.parse(constraints.as_json()) == constraints


@given(COLLECTION)
def test_constraints_when_written_and_read(constraints):
    assert Constraints.parse(constraints.as_json()) == constraints
    assert hash(Constraints.parse(constraints.as_json())) == hash(constraints)


@given(COLLECTION, COLLECTION, ACCESSES)
def test_constraints_when_narrowed(parent, own, accesses):
    child = narrowed(parent, own)
    for access in accesses:
        both = permits(parent, access) and permits(own, access)
        assert permits(child, access) == both or (child is None and both)
    assert child is None or (child.is_within(parent) and child.is_within(own))
    assert child == narrowed(own, parent)


@given(COLLECTION, COLLECTION)
def test_constraints_when_within_each_other(one, other):
    assert one.is_within(one)
    assert one.is_within(Constraints())
    assert (one.is_within(other) and other.is_within(one)) == (one == other)


@given(COLLECTION, ACCESSES)
def test_constraints_when_handed_on(parent, accesses):
    child = parent.for_child()
    assert child.is_within(parent)
    for access in accesses:
        assert not permits(child, access) or permits(parent, access)


@given(COLLECTION, ACCESSES)
def test_claim_when_read_by_a_resource_server(constraints, accesses):
    carried = Constraints.parse(constraints.claim())
    for access in accesses:
        if access.moment is EnforcementPoint.RESOURCE:
            assert carried.refusal(access) == constraints.refusal(access)
